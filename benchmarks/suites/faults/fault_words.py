"""Compares what health, metrics, log and report of ``edgekit run`` say during faults.

Run it as ``python -m edgekit.benchmarks.suites.faults.fault_words``. Each row causes a fault in a
live run and reads ``/health``, ``/metrics`` and the log during the fault. Afterwards it reads the
report and the exit status. It prints a Markdown table. A cell in bold says that all is well
although something is not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.benchmarks.suites.faults._observed_run import ObservedRun
from edgekit.benchmarks.suites.faults.power_cut import camera_on_loopback
from edgekit.benchmarks.suites.support.broker import Mosquitto
from edgekit.benchmarks.suites.support.streams import RtspServer, free_ports
from edgekit.synthetic.clip import render_clip

__all__ = ["FAULTS", "Said", "main", "play"]

_SEED = 161
_FPS = 25.0
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


def _away(trial: ObservedRun) -> None:
    trial.start("--patience", "4", "--json", "--duration", "20")
    trial.flows.clear()
    trial.until(lambda: bool(trial.health()["status"] == "lost"))


def _slow(trial: ObservedRun) -> None:
    trial.start("--json", "--duration", "12")
    _stop(trial, 1.0)
    trial.until(lambda: trial.health()["sources"][0]["dropped"] > 0)


def _lagging(trial: ObservedRun) -> None:
    trial.start("--json", "--duration", "18")
    _stop(trial, 4.0)
    trial.until(lambda: "seek" in trial.health()["sources"][0]["gaps"])


def _stop(trial: ObservedRun, seconds: float) -> None:
    trial.run.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    trial.run.send_signal(signal.SIGCONT)


def _no_room(trial: ObservedRun) -> None:
    events = trial.folder / "e.jsonl"
    trial.start("--events", str(events), "--json", "--duration", "12")
    # Like a full disk: writing beyond this size is refused.
    _, hard = resource.prlimit(trial.run.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(trial.run.pid, resource.RLIMIT_FSIZE, (events.stat().st_size, hard))
    trial.until(lambda: _sink(trial)["lost"] > 0 and _sink(trial)["error"])


def _unwritable(trial: ObservedRun) -> None:
    events = trial.folder / "e.jsonl"
    trial.start("--events", str(events), "--json", "--duration", "12")
    events.rename(trial.folder / "old.jsonl")
    events.mkdir()
    trial.until(lambda: _sink(trial)["lost"] > 0 and _sink(trial)["error"])


def _broker_away(trial: ObservedRun) -> None:
    trial.start(*_mqtt(trial, free_ports(1)), "--json", "--duration", "12")
    trial.until(lambda: bool(_sink(trial)["error"]))


def _broker_forbids(trial: ObservedRun) -> None:
    rules = trial.folder / "rules"
    rules.write_text("topic write nowhere/status\ntopic read #\n")
    rules.chmod(0o644)
    trial.folder.chmod(0o755)
    limits = ("max_queued_messages 1000", "max_inflight_messages 20")
    lines = (*limits, "allow_anonymous true", f"acl_file {rules}")
    broker = trial.servers.enter_context(Mosquitto(trial.folder, *lines))
    trial.start(*_mqtt(trial, broker.port), "--json", "--duration", "12")
    trial.until(lambda: _sink(trial)["lost"] > 0)


def _mqtt(trial: ObservedRun, port: int) -> list[str]:
    buffer = str(trial.folder / "buffer")
    return ["--mqtt", f"mqtt://127.0.0.1:{port}/nowhere", "--mqtt-buffer", buffer]


def _overflow(trial: ObservedRun) -> None:
    # Nobody reads the pipe: it fills up, then 256 frames wait.
    trial.start("--events", "-", "--duration", "60", frames=1)
    trial.until(lambda: _sink(trial)["lost"] > 0)


def _clip_lost(trial: ObservedRun) -> None:
    clips = trial.folder / "clips"
    trial.start("--clips", str(clips), "--json", "--duration", "40", "--min-hits", "1")
    clips.rename(trial.folder / "old")
    clips.write_text("in its place")
    trial.until(lambda: _sink(trial)["lost"] > 0)


def _sink(trial: ObservedRun) -> dict[str, Any]:
    found: dict[str, Any] = trial.health()["sources"][0]["sinks"][0]
    return found


FAULTS: dict[str, Callable[[ObservedRun], None]] = {
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
    """Causes a fault in a run, and returns what each place reports.

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
        trial = ObservedRun(folder, flows, ["--source", url, *options])
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
    parser = argparse.ArgumentParser(description="Prints where faults of a run are reported.")
    parser.add_argument("--only", choices=list(FAULTS), help="measure only this row")
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
