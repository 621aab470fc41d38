"""Measures whether one run serves eight different sources for an hour, and how it grows.

Run it as ``python -m edgekit.benchmarks.suites.faults.mixed_sources [--minutes 60]``. The sources
are Motion JPEG cameras on loopback. Two are absent for the first tenth of the time, one has 2
frames per second, and one has 4K pictures. One disconnects for some seconds each minute, and three
work normally. It prints a Markdown table of the sources, and one of the run's size over time.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.benchmarks.suites.faults.power_cut import camera_on_loopback
from edgekit.benchmarks.suites.faults.stream_faults import problems_of, size_of
from edgekit.benchmarks.suites.support.streams import free_ports
from edgekit.measuring.timing import machine
from edgekit.media._opencv import cv2
from edgekit.synthetic.clip import render_clip

__all__ = ["KINDS", "Kind", "main", "rate_of"]

_SEED = 161
_ROWS = 6
_DROPS_OUT, _AWAY = 60.0, 5.0
_LONGEST = 60.0


class Kind(NamedTuple):
    """A kind of camera.

    Attributes:
        name: Name in the table.
        fps: Frames per second.
        scale: Factor on the width and height of its pictures, over 320x240.
        late: Whether it is absent at first.
        drops_out: Whether it disconnects each minute.
    """

    name: str
    fps: float = 5.0
    scale: int = 1
    late: bool = False
    drops_out: bool = False


KINDS = (
    Kind("good"),
    Kind("good"),
    Kind("good"),
    Kind("late", late=True),
    Kind("late", late=True),
    Kind("slow", fps=2.0),
    Kind("4K", scale=12),
    Kind("drops out each minute", drops_out=True),
)


class _DroppingCamera:
    """One of the cameras, which connects and disconnects."""

    def __init__(self, kind: Kind, frames: list[Any]) -> None:
        self.kind = kind
        images = [_enlarged(image, kind.scale) for image in frames]
        self._images, self.port = images, free_ports(1)
        self._here: contextlib.ExitStack | None = None

    @property
    def url(self) -> str:
        """Address of the camera."""
        return f"http://127.0.0.1:{self.port}/"

    def come(self) -> None:
        """Starts the camera, until ``leave`` is called."""
        self._here = contextlib.ExitStack()
        self._here.enter_context(camera_on_loopback(self._images, self.kind.fps, port=self.port))

    def leave(self) -> None:
        """Closes its port and all connections."""
        if self._here is not None:
            self._here.close()
            self._here = None


def _enlarged(image: Any, scale: int) -> Any:
    height, width = image.shape[:2]
    return cv2.resize(image, (width * scale, height * scale)) if scale > 1 else image


def rate_of(lines: list[dict[str, Any]]) -> tuple[float, int, int]:
    """Returns frames per second while connected, number of outages, and frames lost in them.

    Args:
        lines: Events of one source.
    """
    times = [line["time"] for line in lines if line["type"] == "frame"]
    outages = [line for line in lines if line["type"] == "gap" and line["reason"] == "reconnect"]
    lost = sum(line["frames"] for line in outages)
    steps = [later - sooner for sooner, later in itertools.pairwise(times)]
    # The step over an outage is not part of the connected time.
    going = sum(step for step in steps if step < 1.5)
    return sum(step < 1.5 for step in steps) / going if going else 0.0, len(outages), lost


@contextlib.contextmanager
def _coming_and_going(cameras: list[_DroppingCamera], seconds: float) -> Iterator[None]:
    over = threading.Event()
    late = [camera for camera in cameras if camera.kind.late]
    moody = [camera for camera in cameras if camera.kind.drops_out]

    def work() -> None:
        begin = time.monotonic()
        next_fault = begin + _DROPS_OUT / 2
        while not over.wait(0.2):
            now = time.monotonic()
            if late and now - begin > seconds / 10:
                late.pop().come()
            if now > next_fault:
                next_fault = now + _DROPS_OUT
                for camera in moody:
                    camera.leave()
                over.wait(_AWAY)
                for camera in moody:
                    camera.come()

    for camera in cameras:
        if not camera.kind.late:
            camera.come()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for camera in cameras:
            camera.leave()


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="Runs edgekit run on eight different sources.")
    parser.add_argument("--minutes", type=float, default=60.0, help="minutes to run")
    parser.add_argument("--bundle", default="shipped", help="bundle to run [default: shipped]")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    frames = list(render_clip(_SEED, frames=20))
    cameras = [_DroppingCamera(kind, frames) for kind in KINDS]
    print(machine())
    with tempfile.TemporaryDirectory() as folder, _coming_and_going(cameras, seconds):
        command = [sys.executable, "-m", "edgekit", "run", "--threads", "1", "--json"]
        command += [word for camera in cameras for word in ("--source", camera.url)]
        command += ["--events", f"{folder}/e.jsonl", "--bundle", arguments.bundle]
        command += ["--drop-policy", "latest"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            reading = threading.Thread(target=_drained, args=(run.stderr,), daemon=True)
            reading.start()
            sizes = [(0.0, size_of(run.pid))]
            begin = time.monotonic()
            for row in range(_ROWS + 1):
                # The first fifth of the time is for the start and for the late cameras.
                due = begin + seconds * (0.2 + 0.8 * row / _ROWS)
                time.sleep(max(0.0, due - time.monotonic()))
                if run.poll() is not None:
                    raise SystemExit(f"The run ended with status {run.returncode}.")
                sizes.append(((time.monotonic() - begin) / 60, size_of(run.pid)))
            run.send_signal(signal.SIGTERM)
            stdout, _ = run.communicate(timeout=_LONGEST)
        report = json.loads(stdout)
        print(
            "\n| source | frames a second, asked | given | frames | lost | outages | events |\n"
            "|---|---|---|---|---|---|---|"
        )
        for number, (camera, told) in enumerate(zip(cameras, report["sources"], strict=True)):
            text = Path(folder, f"e-{number}.jsonl").read_text()
            lines = [json.loads(line) for line in text.splitlines()]
            rate, outages, lost = rate_of(lines)
            problems = "; ".join(problems_of(lines)[:2]) or "valid"
            cells = (camera.kind.name, camera.kind.fps, f"{rate:.2f}", told["frames"], lost)
            print(f"| {' | '.join(map(str, (*cells, outages, problems)))} |")
    print("\n| minute | MiB | threads | descriptors |\n|---|---|---|---|")
    for minute, (memory, threads, descriptors) in sizes[1:]:
        print(f"| {minute:.1f} | {memory:.1f} | {threads} | {descriptors} |")


def _drained(stream: Any) -> None:
    for _ in stream:
        pass


if __name__ == "__main__":
    main()
