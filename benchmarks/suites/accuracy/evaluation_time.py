"""Times ``edgekit eval --detections`` on as many videos as UCF101-24 has, and on more.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.evaluation_time ROOT`` with the folder of
the dataset's annotations. It makes detections from the annotated tubes: jittered boxes, some
twice, some missing, and boxes of noise. Each evaluation is a process of its own with one thread.
The table shows its wall time, processor time and peak memory, those of its workers included.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edgekit.datasets.annotations import VideoTruth
from edgekit.datasets.published import read_truth
from edgekit.measuring.timing import machine
from edgekit.metrics.detections_writer import detections_writer
from edgekit.runtime.types import Detections

__all__ = ["main", "simulated", "write_simulated"]

_MISSED, _TWICE, _NOISE, _JITTER = 0.15, 0.25, 0.7, 4.0


def simulated(video: VideoTruth, classes: int, seed: int) -> list[Detections]:
    """Returns imperfect detections for each frame of an annotated video."""
    random = np.random.default_rng(seed)
    found = []
    for frame in range(video.frames):
        boxes, scores = [], []
        for tube in video.tubes:
            if not tube.start <= frame <= tube.end or random.random() < _MISSED:
                continue
            for _ in range(1 + (random.random() < _TWICE)):
                boxes.append(tube.boxes[frame - tube.start] + random.normal(0, _JITTER, 4))
                row = np.where(random.random(classes) < 0.1, random.uniform(0, 0.3, classes), 0)
                row[tube.label] = random.uniform(0.4, 0.95)
                scores.append(row)
        for _ in range(random.poisson(_NOISE)):
            corner = random.uniform((0, 0), (video.width - 60, video.height - 60))
            boxes.append(np.concatenate((corner, corner + random.uniform(20, 60, 2))))
            row = np.zeros(classes)
            row[random.integers(classes, size=2)] = random.beta(1, 7, 2)
            scores.append(row)
        found.append(
            Detections(np.array(boxes).reshape(-1, 4), np.array(scores).reshape(-1, classes))
        )
    return found


def write_simulated(path: Path, root: Path, videos: int) -> int:
    """Writes simulated detections of this many videos; returns the number of frames.

    Args:
        path: File to write, as ``eval --save-detections`` does.
        root: Folder of UCF101-24 with its annotations; its test list is repeated if needed.
        videos: Number of videos.
    """
    truth, frames = read_truth("ucf24", root), 0
    with detections_writer(path, truth.classes) as writer:
        for number, video in enumerate(itertools.islice(itertools.cycle(truth.videos), videos)):
            size = (video.width, video.height)
            with writer.video(f"{number}-{video.name}", size, video.tubes) as out:
                for found in simulated(video, len(truth.classes), number):
                    out.add(found)
            frames += video.frames
    return frames


def _evaluated(path: Path, workers: int) -> tuple[float, float]:
    """Returns wall and processor seconds of one evaluation."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    command = [sys.executable, "-m", "edgekit", "eval", "--detections", str(path), "--json"]
    subprocess.run(
        [*command, "--workers", str(workers)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    seconds = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used


def main() -> None:
    """Runs the suite."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="Folder of UCF101-24, with splitfiles/ in it.")
    parser.add_argument("--videos", type=int, nargs="+", default=[910, 3000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="The fastest round is shown.")
    options = parser.parse_args()
    print(machine())
    print("videos  frames  workers  seconds  processor seconds  largest process so far, MB")
    with tempfile.TemporaryDirectory() as folder:
        for videos in options.videos:
            path = Path(folder) / "detections.json"
            frames = write_simulated(path, options.root, videos)
            for workers in options.workers:
                runs = [_evaluated(path, workers) for _ in range(options.rounds)]
                seconds, used = min(runs)
                most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                times = f"{seconds:7.1f}  {used:17.1f}"
                print(f"{videos:6}  {frames:6}  {workers:7}  {times}  {most:9.0f}")


if __name__ == "__main__":
    main()
