"""Measures whether clips of ``edgekit run`` play as long as the time that they show.

Run it as ``python -m edgekit.benchmarks.suites.faults.clip_lengths [--seconds 15]``. A Motion JPEG
camera on loopback plays a rendered clip at several rates. Meanwhile the run is paused, as by a CPU
quota, and the camera pauses. It prints a Markdown table. The time that a clip covers comes from the
times of its frames in the events of that run.
"""

from __future__ import annotations

import argparse
import bisect
import itertools
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekit.benchmarks.suites.faults.power_cut import camera_on_loopback
from edgekit.measuring.timing import machine
from edgekit.synthetic.clip import render_clip

__all__ = ["TROUBLES", "ComparedClip", "main", "play"]

_SEED = 161
_RATES = (5, 25, 50, 100)
_PATIENCE = 60.0
_LONGEST = 60.0

TROUBLES = ("nothing", "the run is held up", "the camera pauses", "both")
"""Disturbances, by their names in the table."""


class ComparedClip(NamedTuple):
    """A clip compared with the events of its run.

    Attributes:
        frames: Number of frames.
        covered: Seconds from its first to its last frame in the events.
        length: Duration of playback, in seconds.
        interval: Median seconds between two of its frames in the events.
        recent: Median seconds between its last nine frames in the video.
        worst: Largest difference between a frame's playback time and its time in the events, in
            seconds.
    """

    frames: int
    covered: float
    length: float
    interval: float
    recent: float
    worst: float

    @property
    def beyond(self) -> float:
        """Frames by which playback is longer than the time from its first to its last frame."""
        return (self.length - self.covered) / self.interval


def play(
    rate: float,
    trouble: str,
    folder: Path,
    images: Sequence[Any],
    *options: str,
    seconds: float = 15.0,
) -> list[ComparedClip]:
    """Runs on a camera, and measures the resulting clips.

    Args:
        rate: Frames per second of the camera.
        trouble: Name of the disturbance, one of ``TROUBLES``.
        folder: Empty folder, which receives the events and the clips.
        images: Pictures that the camera repeats.
        options: Additional options for ``edgekit run``.
        seconds: Duration from the first frame on, in seconds.

    Raises:
        RuntimeError: The run ended by itself.
    """
    events, clips = folder / "events.jsonl", folder / "clips"
    flows = threading.Event()
    flows.set()
    with camera_on_loopback(images, rate, flows=flows) as url:
        command = [sys.executable, "-m", "edgekit", "run", "--source", url, "--threads", "1"]
        command += ["--events", str(events), "--clips", str(clips), "--clip-before", "1"]
        command += ["--clip-after", "0.5", *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as run:
            try:
                _wait_for_a_frame(events, run)
                _disturb(run, flows, trouble, seconds)
                run.send_signal(signal.SIGTERM)
                run.communicate(timeout=_LONGEST)
            finally:
                run.kill()
    lines = [json.loads(line) for line in events.read_bytes().splitlines()]
    times = [(line["index"], line["time"]) for line in lines if line["type"] == "frame"]
    return [_measured(path, times) for path in sorted(clips.glob("*.json"))]


def _wait_for_a_frame(events: Path, run: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _PATIENCE
    while not (events.exists() and b'"frame"' in events.read_bytes()):
        if run.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"No frame came; the run's status is {run.poll()}.")
        time.sleep(0.02)


def _disturb(
    run: subprocess.Popen[bytes], flows: threading.Event, trouble: str, seconds: float
) -> None:
    """Disturbs the run until the time is over."""
    end = time.monotonic() + seconds
    for turn in itertools.count():
        if time.monotonic() >= end:
            break
        if trouble in ("the run is held up", "both"):
            run.send_signal(signal.SIGSTOP)
            time.sleep(0.15)
            run.send_signal(signal.SIGCONT)
        if trouble in ("the camera pauses", "both") and turn % 8 == 7:
            flows.clear()
            time.sleep(0.7)
            flows.set()
        time.sleep(0.25)


def _measured(about: Path, times: Sequence[tuple[int, float]]) -> ComparedClip:
    said = json.loads(about.read_bytes())
    own = [time for index, time in times if said["first"] <= index <= said["last"]]
    shown, length = _shown(about.with_suffix(".mp4"))
    interval = statistics.median(_intervals(own) or [1.0])
    recent = statistics.median(_intervals(shown)[-9:] or [1.0])
    # Frames that a slow output had to skip are in the events alone.
    worst = max(min(abs(moment - (time - own[0])) for time in own) for moment in shown)
    return ComparedClip(len(shown), own[-1] - own[0], length, interval, recent, worst)


def _intervals(moments: Sequence[float]) -> list[float]:
    return [later - sooner for sooner, later in itertools.pairwise(moments)]


def _shown(video: Path) -> tuple[list[float], float]:
    """Returns when each frame of a video is shown, from the first one, and its duration."""
    import av

    with av.open(str(video)) as container:
        stream: Any = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        moments: list[float] = []
        for packet in packets:
            bisect.insort(moments, float(packet.pts * packet.time_base))
        length = float(stream.duration * stream.time_base)
        return [moment - moments[0] for moment in moments], length


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description="Compares clips of edgekit run with their frame times."
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="seconds to run in each row")
    parser.add_argument("--bundle", default="shipped", help="bundle to run [default: shipped]")
    arguments = parser.parse_args()
    print(machine())
    print(
        "\n| frames a second | meanwhile | clips | frames | s covered | s long | worst frame, ms "
        "| frames beyond, at most |\n|---|---|---|---|---|---|---|---|"
    )
    for rate, trouble in itertools.product(_RATES, TROUBLES):
        with tempfile.TemporaryDirectory() as folder:
            more = ("--bundle", arguments.bundle)
            images = list(render_clip(_SEED, fps=rate))
            clips = play(rate, trouble, Path(folder), images, *more, seconds=arguments.seconds)
        cells = (
            rate,
            trouble,
            len(clips),
            sum(clip.frames for clip in clips),
            f"{sum(clip.covered for clip in clips):.2f}",
            f"{sum(clip.length for clip in clips):.2f}",
            f"{1e3 * max((clip.worst for clip in clips), default=0):.1f}",
            f"{max((clip.beyond for clip in clips), default=0):.2f}",
        )
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
