"""Observes a live run: what its health, metrics, log and report say."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekit.benchmarks.suites.support.streams import free_ports

__all__ = ["ObservedRun"]

_FRAMES = 20
_LONGEST = 120.0
_POLL = 0.1


class ObservedRun:
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
