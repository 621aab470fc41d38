"""Shows what each place says of ``edgekit run`` while something is lost.

Run it as ``python -m edgekit.benchmarks.suites.faults.fault_words``. Each row causes a fault in a
live run and reads ``/health``, ``/metrics`` and the log during the fault. Afterwards it reads the
report and the exit status. It prints a Markdown table. A cell in bold says that all is well
although something is not.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.benchmarks.suites.faults.power_cut import camera_on_loopback
from edgekit.benchmarks.suites.support.broker import Mosquitto
from edgekit.benchmarks.suites.support.streams import RtspServer, free_ports
from edgekit.puppets.clip import render_clip

__all__ = ["FAULTS", "Said", "main", "play"]

_SEED = 161
_FPS = 25.0
_FRAMES = 20
_LONGEST = 60.0
_POLL = 0.1
_WELL = "says nothing"


class Said(NamedTuple):
    """Words of each place about a fault; empty if the place said that all was well.

    Attributes:
        health: Problems in ``/health`` during the fault.
        metrics: Problems in ``/metrics`` during the fault.
        log: First line of standard error.
        report: Problems in the report at the end.
        status: Exit status of the run, which ended by itself.
    """

    health: str
    metrics: str
    log: str
    report: str
    status: int


class _Trial:
    """A run on a camera, in which a fault is caused.

    Attributes:
        folder: Folder for its files.
        flows: Event that the camera waits for before each frame; clear it to silence the camera.
        run: Process of the run; None before the start.
        servers: Servers to close after the run.
    """

    def __init__(self, folder: Path, flows: threading.Event, options: Sequence[str]) -> None:
        self.folder, self.flows = folder, flows
        self._pages, self._figures = free_ports(1), free_ports(1)
        self._command = [sys.executable, "-m", "edgekit", "run", "--threads", "1", *options]
        self._command += ["--serve", str(self._pages), "--metrics", str(self._figures)]
        self.run: Any = None
        self.servers = contextlib.ExitStack()

    def start(self, *options: str, frames: int = _FRAMES) -> None:
        """Starts the run, and returns once it has processed this many frames."""
        pipe = subprocess.PIPE
        words = [*self._command, *options]
        self._errors = (self.folder / "stderr").open("wb")
        self.run = subprocess.Popen(words, stdout=pipe, stderr=self._errors)
        fcntl.fcntl(self.run.stdout, fcntl.F_SETPIPE_SZ, 4096)
        self.until(lambda: self._frames() >= frames)

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits until a condition holds; raises if the run ends or the time is up."""
        end = time.monotonic() + _LONGEST
        while not condition():
            if self.run.poll() is not None or time.monotonic() > end:
                words = (self.folder / "stderr").read_text()
                raise RuntimeError(f"What was waited for did not come: {words}")
            time.sleep(_POLL)

    def health(self) -> dict[str, Any]:
        """Returns the answer of ``/health``; empty while there is none."""
        found: dict[str, Any] = {}
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = json.loads(self._get(self._pages, "health"))
        return found

    def health_words(self) -> str:
        """Returns the problems in ``/health``, as words."""
        found = self.health()
        words = [found["status"]] if found["status"] != "ok" else []
        for source in found["sources"]:
            words += [f"source {source['status']}"] if source["status"] != "ok" else []
            words += [f"{source['dropped']} dropped"] if source["dropped"] else []
            words += [f"{name}: {count}" for name, count in source["gaps"].items()]
            for sink in source["sinks"]:
                words += [f"{sink['name']}: {sink['lost']} lost"] if sink["lost"] else []
                words += [f"{sink['name']}: error"] if sink["error"] else []
        return ", ".join(words)

    def metrics_words(self) -> str:
        """Returns the problems in ``/metrics``, as words."""
        words = []
        for line in self._get(self._figures, "metrics").splitlines():
            name, _, value = line.rpartition(" ")
            if re.match(r"edgekit_\w+_up", name) and float(value) == 0:
                words.append(line.removeprefix("edgekit_"))
            lost = re.match(r"edgekit_(output_lost|frames_dropped|gaps)_total", name)
            if lost and float(value):
                words.append(f"{name.removeprefix('edgekit_')} {float(value):g}")
        return ", ".join(words)

    def metric(self, start: str) -> float:
        """Returns the sum of the metrics whose lines begin with this text."""
        lines = self._get(self._figures, "metrics").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))

    def end(self, output: bytes = b"") -> tuple[str, str, int]:
        """Waits for the run's end; returns its log, the problems in its report, and its status."""
        stdout, _ = self.run.communicate(timeout=_LONGEST)
        self._errors.close()
        log = (self.folder / "stderr").read_text()
        status = self.run.returncode
        text = (output + stdout).decode()
        if not text.startswith("{\n"):  # events used standard output, so the report is in the log
            log, _, report = log.partition("milliseconds a frame")
            found = [line for line in report.splitlines() if " lost" in line]
            return _first(log), " ".join(found), status
        return _first(log), _report_words(json.loads(text)), status

    def close(self) -> None:
        """Ends the run in any state."""
        if self.run is not None and self.run.poll() is None:
            self.run.send_signal(signal.SIGCONT)
            self.run.kill()
            self.run.communicate()
        self.servers.close()

    def _frames(self) -> int:
        sources = self.health().get("sources", [{"frames": 0}])
        return int(sources[0]["frames"])

    @staticmethod
    def _get(port: int, place: str) -> str:
        url = f"http://127.0.0.1:{port}/{place}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()  # /health answers 503 with the reason


def _first(log: str) -> str:
    lines = [line for line in log.splitlines() if not line.startswith("Live page")]
    return lines[0] if lines else ""


def _report_words(report: dict[str, Any]) -> str:
    words = []
    if error := report.get("error"):
        words.append(error["message"] if isinstance(error, dict) else error)
    words += [f"{report['dropped']} dropped"] if report.get("dropped") else []
    for sink in report.get("sinks", ()):
        words += [f"{sink['name']}: {sink['lost']} lost"] if sink["lost"] else []
        words += [f"{sink['name']}: {sink['error']}"] if sink["error"] else []
    return ", ".join(words)


def _away(trial: _Trial) -> None:
    trial.start("--patience", "4", "--json", "--duration", "20")
    trial.flows.clear()
    trial.until(lambda: bool(trial.health()["status"] == "lost"))


def _slow(trial: _Trial) -> None:
    trial.start("--json", "--duration", "12")
    _stop(trial, 1.0)
    trial.until(lambda: trial.health()["sources"][0]["dropped"] > 0)


def _lagging(trial: _Trial) -> None:
    trial.start("--json", "--duration", "18")
    _stop(trial, 4.0)
    trial.until(lambda: "seek" in trial.health()["sources"][0]["gaps"])


def _stop(trial: _Trial, seconds: float) -> None:
    trial.run.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    trial.run.send_signal(signal.SIGCONT)


def _no_room(trial: _Trial) -> None:
    events = trial.folder / "e.jsonl"
    trial.start("--events", str(events), "--json", "--duration", "12")
    # Like a full disk: writing beyond this size is refused.
    _, hard = resource.prlimit(trial.run.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(trial.run.pid, resource.RLIMIT_FSIZE, (events.stat().st_size, hard))
    trial.until(lambda: _sink(trial)["lost"] > 0 and _sink(trial)["error"])


def _unwritable(trial: _Trial) -> None:
    events = trial.folder / "e.jsonl"
    trial.start("--events", str(events), "--json", "--duration", "12")
    events.rename(trial.folder / "old.jsonl")
    events.mkdir()
    trial.until(lambda: _sink(trial)["lost"] > 0 and _sink(trial)["error"])


def _broker_away(trial: _Trial) -> None:
    trial.start(*_mqtt(trial, free_ports(1)), "--json", "--duration", "12")
    trial.until(lambda: bool(_sink(trial)["error"]))


def _broker_forbids(trial: _Trial) -> None:
    rules = trial.folder / "rules"
    rules.write_text("topic write nowhere/status\ntopic read #\n")
    rules.chmod(0o644)
    trial.folder.chmod(0o755)
    limits = ("max_queued_messages 1000", "max_inflight_messages 20")
    lines = (*limits, "allow_anonymous true", f"acl_file {rules}")
    broker = trial.servers.enter_context(Mosquitto(trial.folder, *lines))
    trial.start(*_mqtt(trial, broker.port), "--json", "--duration", "12")
    trial.until(lambda: _sink(trial)["lost"] > 0)


def _mqtt(trial: _Trial, port: int) -> list[str]:
    buffer = str(trial.folder / "buffer")
    return ["--mqtt", f"mqtt://127.0.0.1:{port}/nowhere", "--mqtt-buffer", buffer]


def _overflow(trial: _Trial) -> None:
    # Nobody reads the pipe: it fills up, then eight frames wait.
    trial.start("--events", "-", "--duration", "30", frames=1)
    trial.until(lambda: _sink(trial)["lost"] > 0)


def _clip_lost(trial: _Trial) -> None:
    clips = trial.folder / "clips"
    trial.start("--clips", str(clips), "--json", "--duration", "40", "--min-hits", "1")
    clips.rename(trial.folder / "old")
    clips.write_text("in its place")
    trial.until(lambda: _sink(trial)["lost"] > 0)


def _sink(trial: _Trial) -> dict[str, Any]:
    found: dict[str, Any] = trial.health()["sources"][0]["sinks"][0]
    return found


FAULTS: dict[str, Callable[[_Trial], None]] = {
    "the source is away": _away,
    "the run is too slow": _slow,
    "the stream lags": _lagging,
    "no room for the events": _no_room,
    "the events file cannot be written": _unwritable,
    "the broker is away": _broker_away,
    "the broker forbids the topic": _broker_forbids,
    "a queue is full": _overflow,
    "a clip is lost": _clip_lost,
}
"""Faults by their name in the table: functions that cause them in a run."""


def play(fault: str, folder: Path, images: Sequence[Any], *options: str) -> Said:
    """Causes a fault in a run, and returns what each place says.

    Args:
        fault: One of ``FAULTS``.
        folder: Empty folder for the files of the run.
        images: Pictures that the camera repeats.
        options: Further options of ``edgekit run``.

    Raises:
        RuntimeError: No place reported the fault in time, or the run ended early.
        MissingDependencyError: A server is not installed.
    """
    flows = threading.Event()
    flows.set()
    with _source(fault, images, flows) as url:
        trial = _Trial(folder, flows, ["--source", url, *options])
        try:
            FAULTS[fault](trial)
            health, metrics = trial.health_words(), trial.metrics_words()
            log, report, status = trial.end()
        finally:
            trial.close()
            flows.set()
    return Said(health, metrics, log, report, status)


@contextlib.contextmanager
def _source(fault: str, images: Sequence[Any], flows: threading.Event) -> Iterator[str]:
    if fault == "the stream lags":  # only a stream with its own times shows lag
        with RtspServer() as server:
            yield f"rtsp://127.0.0.1:{server.port}/video"
        return
    with camera_on_loopback(images, _FPS, flows=flows) as url:
        yield url


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="What each place says of a fault.")
    parser.add_argument("--only", choices=list(FAULTS), help="this row alone")
    arguments = parser.parse_args()
    images = list(render_clip(_SEED))
    print("| fault | /health | /metrics | log | report | status |\n|---|---|---|---|---|---|")
    for fault in FAULTS if arguments.only is None else (arguments.only,):
        with tempfile.TemporaryDirectory() as folder:
            said = play(fault, Path(folder), images, "--bundle", "shipped")
        cells = [_short(text, Path(folder)) for text in said[:4]]
        print(f"| {fault} | {' | '.join(cells)} | {said.status} |", flush=True)


def _short(text: str, folder: Path) -> str:
    text = re.sub(r"(\w+://127\.0\.0\.1):\d+", r"\1", text.replace(f"{folder}{os.sep}", ""))
    return text.replace("|", "\\|") if text else f"**{_WELL}**"


if __name__ == "__main__":
    main()
