"""Measures whether one run serves eight different sources for an hour, and how it grows.

Run it as ``python -m edgekit.benchmarks.suites.faults.mixed_sources [--minutes 60]``. Seven sources
are RTSP cameras of 320x240 pixels, each with a GStreamer server of its own. Two of them are absent
for the first tenth of the time, one has 2 frames per second, one disappears for some seconds each
minute, and three work normally. The eighth sends 25 pictures of 3840x2160 pixels per second, which
FFmpeg takes from a clip. The run takes 6 frames per second of each source (``--fps``).

It prints a Markdown table of the sources, and one of the run's size over time with its trend.
The first fifth of the time does not count for the trend.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgekit._closing import Closing
from edgekit.benchmarks.suites.faults._run_size import observed, print_sizes
from edgekit.benchmarks.suites.faults.stream_faults import problems_of
from edgekit.benchmarks.suites.support.streams import ClipServer, RtspServer, free_ports
from edgekit.measuring.timing import machine

__all__ = ["KINDS", "Kind", "main", "rate_of"]

_WARM_UP = 0.2
_LATE = 0.1
_DROPS_OUT, _AWAY = 60.0, 5.0


class Kind(NamedTuple):
    """A kind of source.

    Attributes:
        name: Name in the table.
        fps: Frames per second.
        large: Whether its pictures are large.
        late: Whether it is absent at first.
        drops_out: Whether it disappears each minute.
    """

    name: str
    fps: int = 5
    large: bool = False
    late: bool = False
    drops_out: bool = False


KINDS = (
    Kind("good"),
    Kind("good"),
    Kind("good"),
    Kind("late", late=True),
    Kind("late", late=True),
    Kind("slow", fps=2),
    Kind("4K", fps=25, large=True),
    Kind("drops out each minute", drops_out=True),
)


class _StreamedCamera:
    """One of the sources, which appears and disappears."""

    def __init__(self, kind: Kind, port: int, clip: Path) -> None:
        self.kind, self._port, self._clip = kind, port, clip
        self._server: Closing | None = None

    @property
    def url(self) -> str:
        """Address of the source."""
        place = f"127.0.0.1:{self._port}"
        return f"tcp://{place}" if self.kind.large else f"rtsp://{place}/video"

    def come(self) -> None:
        """Starts the server, until ``leave`` is called."""
        if self.kind.large:
            self._server = ClipServer(self._clip, self._port)
        else:
            self._server = RtspServer(self._port, rate=self.kind.fps)

    def leave(self) -> None:
        """Kills the server."""
        if self._server is not None:
            self._server.close()
            self._server = None


def _write_large_clip(path: Path) -> None:
    picture = "testsrc=s=1280x720:r=25:d=8,scale=3840:2160:flags=neighbor"
    words = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libx264"]
    words += ["-preset", "ultrafast", "-tune", "zerolatency", "-g", "50", "-b:v", "10M"]
    subprocess.run([*words, "-pix_fmt", "yuv420p", str(path)], check=True)


def rate_of(lines: list[dict[str, Any]]) -> tuple[float, int, int]:
    """Returns frames per second while connected, number of outages, and frames lost in them.

    Args:
        lines: Events of one source.
    """
    steps = frames = outages = lost = 0
    going, last, is_over_outage = 0.0, None, False
    for line in lines:
        if line["type"] == "gap" and line["reason"] == "reconnect":
            outages, lost, is_over_outage = outages + 1, lost + line["frames"], True
        elif line["type"] == "frame":
            if last is not None and not is_over_outage:
                going, steps = going + line["time"] - last, steps + 1
            last, is_over_outage, frames = line["time"], False, frames + 1
    return steps / going if going else 0.0, outages, lost


@contextlib.contextmanager
def _coming_and_going(cameras: list[_StreamedCamera], seconds: float) -> Iterator[None]:
    over = threading.Event()
    late = [camera for camera in cameras if camera.kind.late]
    moody = [camera for camera in cameras if camera.kind.drops_out]

    def work() -> None:
        begin = time.monotonic()
        next_fault = begin + _DROPS_OUT / 2
        while not over.wait(0.2):
            now = time.monotonic()
            if late and now - begin > seconds * _LATE:
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


def _print_sources(folder: Path, report: dict[str, Any]) -> None:
    print(
        "\n| source | FPS of the source | FPS taken | share | frames | outages | lost in outages "
        "| skipped forward | events lost | events |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for number, (kind, source) in enumerate(zip(KINDS, report["sources"], strict=True)):
        text = (folder / f"e-{number}.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        rate, outages, lost = rate_of(lines)
        seeks = sum(line["type"] == "gap" and line["reason"] == "seek" for line in lines)
        problems = "; ".join(problems_of(lines)[:2]) or "valid"
        events = sum(sink["lost"] for sink in source["sinks"])
        cells = [kind.name, kind.fps, f"{rate:.2f}", f"{rate / kind.fps:.3f}", source["frames"]]
        print(f"| {' | '.join(map(str, [*cells, outages, lost, seeks, events, problems]))} |")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="Eight mixed sources under edgekit run.")
    parser.add_argument("--minutes", type=float, default=60.0, help="duration, at least 1")
    parser.add_argument("--bundle", default="shipped")
    parser.add_argument("--samples", type=Path, help="CSV file for a line every 10 seconds")
    parser.add_argument("options", nargs="*", help="more for edgekit run, after --")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    ports = free_ports(2 * len(KINDS))
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "large.mp4"
        _write_large_clip(clip)
        cameras = [_StreamedCamera(kind, ports + 2 * n, clip) for n, kind in enumerate(KINDS)]
        command = [sys.executable, "-m", "edgekit", "run", "--threads", "1", "--json"]
        command += [word for camera in cameras for word in ("--source", camera.url)]
        command += ["--events", str(folder / "e.jsonl"), "--bundle", arguments.bundle]
        command += ["--fps", "6", *arguments.options]
        with _coming_and_going(cameras, seconds):
            samples, report = observed(command, seconds, arguments.samples)
        _print_sources(folder, report)
    print_sizes([sample for sample in samples if 60 * sample.minute >= _WARM_UP * seconds])


if __name__ == "__main__":
    main()
