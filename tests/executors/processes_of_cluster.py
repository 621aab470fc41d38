"""Starts a Dask cluster of processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT

__all__ = ["Cluster", "wait_for"]


class Cluster:
    """A scheduler and its workers, each a process that a test may kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        file = folder / "scheduler.json"
        self._start(
            "scheduler",
            *("--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
            *("--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)),
        )
        self.address = wait_for(lambda: json.loads(file.read_text())["address"])

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *raised: object) -> None:
        for name in reversed(self.processes):
            self.kill(name)

    def add_worker(self) -> None:
        """Starts a worker of one thread."""
        name = f"worker{len(self.processes)}"
        place = str(self.folder / name)
        self._start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                    "--local-directory", place, name=name)  # fmt: skip

    def kill(self, name: str) -> None:
        """Kills a process and waits for its end."""
        self.processes[name].kill()
        self.processes[name].wait()

    def kill_pid(self, pid: int) -> None:
        """Kills the worker with this process id."""
        (name,) = (name for name, process in self.processes.items() if process.pid == pid)
        self.kill(name)

    def _start(self, kind: str, *arguments: str, name: str = "scheduler") -> None:
        program = f"distributed.cli.dask_{kind}"
        command = [*WITH_ITS_PARENT, sys.executable, "-m", program, *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)


def wait_for(found: Callable[[], Any]) -> Any:
    """Returns the first result of a function that is not false and raises no ``OSError``."""
    while True:
        try:
            if result := found():
                return result
        except (OSError, ValueError):
            pass
        time.sleep(0.02)
