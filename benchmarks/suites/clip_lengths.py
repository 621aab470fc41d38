"""Whether the clips of ``edgekit run`` last as long as what they show, whatever the rate did.

Run it as ``python -m edgekit.benchmarks.suites.clip_lengths [--seconds 15]``. A Motion JPEG camera
on loopback plays a rendered clip at several rates; meanwhile the run is held up, as by a CPU quota,
and the camera pauses. Prints a Markdown table. What a clip covers is told by the times of its
frames in the events of the same run.
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

from edgekit.benchmarks.suites.power_cut import camera_on_loopback
from edgekit.benchmarks.timing import machine
from edgekit.puppets.clip import render_clip

__all__ = ["TROUBLES", "Clip", "main", "play"]

_SEED = 161
_RATES = (5, 25, 50, 100)
_PATIENCE = 60.0
_LONGEST = 60.0

TROUBLES = ("nothing", "the run is held up", "the camera pauses", "both")
"""What happens meanwhile, by what the table calls it."""


class Clip(NamedTuple):
    """A clip beside the events of its run.

    Attributes:
        frames: How many it has.
        covered: Seconds from its first to its last frame in the events.
        length: Seconds that it plays.
        interval: Seconds between two of its frames, the median.
        recent: The same of its last nine frames as the video shows them.
        worst: Seconds between the moment of a frame and its time in the events, at most.
    """

    frames: int
    covered: float
    length: float
    interval: float
    recent: float
    worst: float

    @property
    def beyond(self) -> float:
        """Frames by which it plays longer than from its first to its last frame."""
        return (self.length - self.covered) / self.interval


def play(
    rate: float,
    trouble: str,
    folder: Path,
    images: Sequence[Any],
    *options: str,
    seconds: float = 15.0,
) -> list[Clip]:
    """Runs on a camera, and measures the clips that come of it.

    Args:
        rate: Frames a second of the camera.
        trouble: One of ``TROUBLES``.
        folder: Empty; has the events and the clips afterwards.
        images: What the camera shows over and over.
        options: More of ``edgekit run``.
        seconds: How long, from the first frame on.

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
    """Makes trouble until the time is over."""
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


def _measured(about: Path, times: Sequence[tuple[int, float]]) -> Clip:
    said = json.loads(about.read_bytes())
    own = [time for index, time in times if said["first"] <= index <= said["last"]]
    shown, length = _shown(about.with_suffix(".mp4"))
    interval = statistics.median(_intervals(own) or [1.0])
    recent = statistics.median(_intervals(shown)[-9:] or [1.0])
    # Frames for which a slow output had no room are in the events alone.
    worst = max(min(abs(moment - (time - own[0])) for time in own) for moment in shown)
    return Clip(len(shown), own[-1] - own[0], length, interval, recent, worst)


def _intervals(moments: Sequence[float]) -> list[float]:
    return [later - sooner for sooner, later in itertools.pairwise(moments)]


def _shown(video: Path) -> tuple[list[float], float]:
    """When each frame of a video is shown, from the first one on, and how long it lasts."""
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
    parser = argparse.ArgumentParser(description="Lengths of the clips of edgekit run.")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each row")
    parser.add_argument("--bundle", default="shipped", help="to run; by default the shipped one")
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
