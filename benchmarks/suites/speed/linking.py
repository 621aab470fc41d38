"""Times selection and linking of one frame, all classes: EdgeKit against a plain numpy port.

Run it as ``python -m edgekit.benchmarks.suites.speed.linking``. The peer, ``plain``, works as the
published MATLAB code does, class by class and path by path, on numpy arrays; only ``road`` with the
cost ``score``. Both get the same frames in alternation, and must find the same tubes before
anything is timed. It uses one thread. ``edgekit`` is another algorithm, so its tubes are not
compared; ``crowd`` shows its cost at 500 boxes. It is measured in C and in numpy, and with the
selection of ``run``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgekit.linking.choices import PUBLISHED
from edgekit.linking.published import TubeLinker
from edgekit.linking.tracker import OnlineLinker
from edgekit.measuring.timing import machine
from edgekit.runtime import native
from edgekit.runtime.selection import select
from edgekit.runtime.types import Array, Detections

__all__ = ["PlainLinker", "main", "video"]

CLASSES = 24
WORKLOADS = {"worst": (20, 1.0), "sparse": (20, 0.1), "few": (2, 0.1)}
"""Boxes per frame, and the share of classes that have a score at a box."""
CROWD = ("crowd", 500, 0.1)

_MAX_MISSES = 5
_MIN_LENGTH = 5


def video(frames: int, boxes: int, share: float) -> list[Detections]:
    """Returns boxes that drift and jitter in 320x240, one in ten missing in each frame."""
    random = np.random.default_rng(0)
    centre = random.uniform((30, 30), (290, 210), (boxes, 2))
    step = random.normal(0, 2, (boxes, 2))
    half = random.uniform(10, 30, (boxes, 2))
    out = []
    for _ in range(frames):
        centre = np.clip(centre + step, 20, (300, 220))
        corners = np.concatenate((centre - half, centre + half), axis=1)
        corners += random.normal(0, 1.5, corners.shape)
        scores = random.uniform(0.01, 0.9, (boxes, CLASSES))
        scores *= random.random(scores.shape) < share
        seen = random.random(boxes) > 0.1
        out.append(Detections(corners[seen].astype(np.float32), scores[seen].astype(np.float32)))
    return out


@dataclass
class _PlainPath:
    start: int
    boxes: list[Array]
    scores: list[float]
    found_at: list[int]
    misses: int = 0
    rank: float = 0.0


@dataclass
class PlainLinker:
    """The peer: the published linker without extrapolation, written plainly."""

    live: list[list[_PlainPath]] = field(default_factory=lambda: [[] for _ in range(CLASSES)])
    dead: list[list[_PlainPath]] = field(default_factory=lambda: [[] for _ in range(CLASSES)])
    frame: int = 0

    def update(self, detections: Detections) -> None:
        """Processes the next frame."""
        boxes = detections.boxes.astype(np.float64)
        scores = detections.scores.astype(np.float64)
        for label in range(CLASSES):
            picked = _plain_select(boxes, scores[:, label])
            self._link(label, boxes[picked], scores[picked, label])
        self.frame += 1

    def finish(self) -> list[_PlainPath]:
        """Returns all paths that are long enough."""
        every = [path for paths in (*self.live, *self.dead) for path in paths]
        return [path for path in every if len(path.found_at) > _MIN_LENGTH]

    def _link(self, label: int, boxes: Array, scores: Array) -> None:
        paths = self.live[label]
        edges = np.zeros((len(paths), len(boxes)))
        for row, path in zip(edges, paths, strict=True):
            near = _plain_iou(path.boxes[-1], boxes, 1.0) >= 0.1
            row[near] = scores[near]
        used = np.zeros(len(boxes), np.bool_)
        for row, path in zip(edges, paths, strict=True):
            if row.sum() > 0:
                best = int(row.argmax())
                path.boxes.append(boxes[best])
                path.scores.append(float(scores[best]))
                path.found_at.append(self.frame)
                path.misses = 0
                edges[:, best] = 0
                used[best] = True
            else:
                path.misses += 1
            path.rank = float(np.sort(path.scores)[::-1][: _MAX_MISSES + 1].mean())
        paths = sorted(paths, key=lambda path: -path.rank)
        self.dead[label] += [path for path in paths if path.misses >= _MAX_MISSES]
        self.live[label] = [path for path in paths if path.misses < _MAX_MISSES]
        self.live[label] += [
            _PlainPath(self.frame, [boxes[i]], [float(scores[i])], [self.frame])
            for i in np.flatnonzero(~used)
        ]


def _plain_select(boxes: Array, scores: Array) -> Array:
    order = np.flatnonzero(scores > 0.001)
    order = order[np.argsort(-scores[order], kind="stable")][:50]
    kept = []
    while len(order):
        kept.append(order[0])
        iou = _plain_iou(boxes[order[0]], boxes[order], 0.0)
        iou[0] = 1.0
        order = order[iou <= 0.45]
    return np.array(kept[:10], np.intp)


def _plain_iou(box: Array, boxes: Array, pixel: float) -> Array:
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0]) + pixel
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1]) + pixel
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (box[2] - box[0] + pixel) * (box[3] - box[1] + pixel)
    areas = (boxes[:, 2] - boxes[:, 0] + pixel) * (boxes[:, 3] - boxes[:, 1] + pixel)
    iou: Array = shared / (area + areas - shared + 2.2e-16)
    return iou


def _check(frames: Sequence[Detections]) -> None:
    """Raises unless both find the same tubes."""
    linker, plain = TubeLinker(CLASSES), PlainLinker()
    paths = []
    for found in frames:
        paths += linker.advance(found)
        plain.update(found)
    paths += linker.finish()
    ours = sorted((p.start, p.end, p.count, round(float(p.scores.sum()), 6)) for p in paths)
    theirs = []
    for path in plain.finish():
        gaps = np.diff(path.found_at, append=path.found_at[-1] + 1)
        total = round(float((np.array(path.scores) * gaps).sum()), 6)
        theirs.append((path.start, path.found_at[-1], len(path.found_at), total))
    if ours != sorted(theirs):
        raise SystemExit("EdgeKit and the plain port found different tubes: nothing was timed.")


def _time(update: Callable[[Detections], object], frames: Sequence[Detections]) -> list[float]:
    spent = []
    for found in frames:
        begin = time.perf_counter()
        update(found)
        spent.append(time.perf_counter() - begin)
    return spent


def _time_ours(kernel: str, frames: Sequence[Detections]) -> list[float]:
    """Times selection and EdgeKit's linker with the kernel; empty selects the fastest one."""
    before = os.environ.get(native.VARIABLE, "")
    os.environ[native.VARIABLE] = kernel
    try:
        linker = OnlineLinker(CLASSES)
        return _time(lambda found: (select(found), linker.update(found)), frames)
    finally:
        os.environ[native.VARIABLE] = before


def main() -> None:
    """Prints median and mean microseconds per frame, and the ratio to the plain port."""
    parser = argparse.ArgumentParser(description="Times selection and linking of one frame.")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{machine()}, one thread")
    print(f"{'workload':<10}{'linker':<16}{'us/frame':>10}{'mean':>10}{'plain/this':>12}")
    for name, (boxes, share) in {**WORKLOADS, CROWD[0]: CROWD[1:]}.items():
        frames = video(arguments.frames, boxes, share)
        crowd = name == CROWD[0]
        if not crowd:
            _check(frames)
        spent: dict[str, list[float]] = defaultdict(list)
        for _ in range(arguments.repeats):
            if not crowd:
                spent["plain"] += _time(PlainLinker().update, frames)
                for link in PUBLISHED:
                    spent[link] += _time(TubeLinker(CLASSES, link=link).update, frames)
            spent["edgekit"] += _time_ours("", frames)
            spent["edgekit, numpy"] += _time_ours(native.NUMPY, frames)
        medians = {link: statistics.median(times) for link, times in spent.items()}
        for link, median in medians.items():
            ratio = "-" if crowd else f"{medians['plain'] / median:.1f}"
            mean = statistics.mean(spent[link])
            print(f"{name:<10}{link:<16}{median * 1e6:>10.0f}{mean * 1e6:>10.0f}{ratio:>12}")


if __name__ == "__main__":
    main()
