"""Measures how the time of each stage grows with input size, classes and detections.

Run it as ``python -m edgekit.benchmarks.suites.speed.growth --cache FOLDER``. For the size, the
shipped weights are exported to ONNX in float32 at each size. For the classes, the shipped
architecture gets random weights for each number, at 256x256. Both are measured as in ``edgekit
bench``, on one core.

For the detections, the pipeline runs without a network. Prepared heads replace it, in which that
many peaks drift, of 24 classes in a map of 64x64 cells. Decoding, selection, linking and events are
those of ``edgekit run``. The exponent p is the slope of the line through the logarithms of times
and detections: the time grows with the p-th power, and 1 is linear.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgekit.assets import default_weights
from edgekit.benchmarks.bench import bench
from edgekit.benchmarks.footage import write_demo_clip
from edgekit.benchmarks.suites.support.networks import exported, random_weights
from edgekit.benchmarks.suites.support.pinning import pinned
from edgekit.calibration.store import Store
from edgekit.errors import EdgeKitError
from edgekit.linking.registry import make_linker
from edgekit.measuring.timing import machine
from edgekit.media.sinks.events import EventsSink
from edgekit.media.sources.source import Source
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.stage_timer import STAGES
from edgekit.runtime.decode import decode
from edgekit.runtime.letterbox import Letterbox
from edgekit.runtime.types import Array, Detections, Frame

__all__ = ["DriftingPeaks", "exponent", "main", "stages_of"]

SIDES = (192, 256, 320, 384, 448, 512, 640)
CLASSES = (1, 5, 10, 24, 48, 80)
DETECTIONS = (10, 20, 50, 100, 200, 500, 1000)
_AFTER = ("decode", "link", "emit")
_STEEP = 100
"""Smallest number of detections for the exponent: below it, the fixed cost dominates."""

_GRID, _STRIDE, _LABELS = 64, 4, 24


class DriftingPeaks:
    """A detector whose network is a list of heads with ``count`` peaks that drift.

    Args:
        count: Number of peaks, each of one class; peaks that share a cell give one box.
        frames: Length of the list, after which it repeats.
    """

    def __init__(self, count: int, frames: int) -> None:
        self.count = count
        self.classes = tuple(f"class {label}" for label in range(_LABELS))
        self._letterbox = Letterbox.fit((256, 256), (256, 256))
        self._heads = itertools.cycle(_drift(count, frames, np.random.default_rng(0)))

    def reset(self) -> None:
        """Does nothing: there is no state."""

    def recent_frames(self) -> None:
        """Does nothing: no frames are compared."""

    def prepare(
        self, image: Array, sample_aspect: float = 1.0, earlier: Array | None = None
    ) -> tuple[dict[str, Array], Letterbox]:
        """Returns no inputs."""
        del image, sample_aspect, earlier
        return {}, self._letterbox

    def infer(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """Returns the next heads."""
        del inputs
        return next(self._heads)

    def release(self, inputs: dict[str, Array]) -> None:
        """Does nothing: there are no inputs."""

    def decode(self, outputs: dict[str, Array], letterbox: Letterbox) -> Detections:
        """Returns the detections by EdgeKit's own decoding."""
        return decode(outputs, _LABELS, letterbox, top_k=self.count, stride=_STRIDE)


def _drift(count: int, frames: int, random: np.random.Generator) -> list[dict[str, Array]]:
    """Returns heads whose peaks move up to half a cell per frame; one in ten is missing."""
    labels = random.integers(0, _LABELS, count)
    place = random.uniform(2, _GRID - 3, (count, 2))
    step = random.uniform(-0.5, 0.5, (count, 2))
    logits = random.uniform(-0.5, 3, count)
    shape = (_GRID, _GRID)
    heads = []
    for _ in range(frames):
        place = place + step
        step[(place < 2) | (place > _GRID - 3)] *= -1
        place = np.clip(place, 2, _GRID - 3)
        seen = random.random(count) > 0.1
        columns, rows = np.floor(place[seen]).astype(int).T
        hm = random.uniform(-9.5, -9, (1, _LABELS, *shape))
        hm[0, labels[seen], rows, columns] = logits[seen]
        reg = np.full((1, 2, *shape), 0.5)
        reg[0][:, rows, columns] = (place[seen] % 1).T
        wh = np.full((1, 2, *shape), 6.0)
        made = {"hm": hm, "wh": wh, "reg": reg}
        heads.append({name: value.astype(np.float32) for name, value in made.items()})
    return heads


class _Blank(Source):
    """A given number of frames of one black picture."""

    def __init__(self, count: int) -> None:
        self.name, self.width, self.height, self.frames = "blank", 256, 256, count
        self._image = np.zeros((256, 256, 3), np.uint8)

    def read(self) -> Frame | None:
        """Returns the picture, up to the given number of times."""
        assert self.frames is not None
        if self.position == self.frames:
            return None
        self.position += 1
        return Frame(self.position - 1, (self.position - 1) / self.fps, self._image)

    def close(self) -> None:
        """Does nothing: there is nothing to release."""


def stages_of(detector: DriftingPeaks, frames: int) -> dict[str, float]:
    """Returns median milliseconds of the stages after the network, with discarded events."""
    linker = make_linker("edgekit", len(detector.classes))
    with _Blank(frames) as source:
        summary = Pipeline(source, detector, linker, [EventsSink(os.devnull)]).run()
    return {stage: summary.stages[stage].p50 for stage in _AFTER}


def exponent(amounts: Sequence[float] | Array, times: Sequence[float] | Array) -> float:
    """Returns p such that times grow as the p-th power of the amounts, by least squares."""
    slope, _ = np.polyfit(np.log(amounts), np.log(times), 1)
    return float(slope)


def _by_bundle(
    title: str, bundles: Mapping[str, Path], rounds: int, frames: int, clip: str
) -> None:
    with pinned(1):
        report = bench(
            list(bundles.values()), source=clip, threads=(1,), rounds=rounds, frames=frames
        )
    rows = []
    for name, row in zip(bundles, report.rows, strict=True):
        if row.result is None:
            raise SystemExit(f"{name}: {row.error.message if row.error else 'not measured'}")
        stages = [row.result.stages[stage].p50 for stage in STAGES]
        rows.append([name, *(f"{ms:.2f}" for ms in (*stages, row.result.overall.p50))])
    _table([title, *STAGES, "overall"], rows)
    for note in report.notes:
        print(f"- {note}")


def _by_detections(rounds: int, frames: int) -> None:
    detectors = [DriftingPeaks(count, frames) for count in DETECTIONS]
    found: list[list[dict[str, float]]] = [[] for _ in detectors]
    for turn in range(rounds + 1):
        for detector, passes in zip(detectors, found, strict=True):
            stages = stages_of(detector, frames)
            if turn:
                passes.append(stages)
    medians = [
        [statistics.median(one[stage] for one in passes) for stage in _AFTER] for passes in found
    ]
    table = np.array([[*times, sum(times)] for times in medians])
    rows = [
        [str(count), *(f"{ms:.3f}" for ms in times)]
        for count, times in zip(DETECTIONS, table, strict=True)
    ]
    steep = np.array(DETECTIONS) >= _STEEP
    powers = [exponent(np.array(DETECTIONS)[steep], column[steep]) for column in table.T]
    rows.append([f"p, from {_STEEP} on", *(f"{power:.2f}" for power in powers)])
    _table(["detections", *_AFTER, "sum"], rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n| {' | '.join(headings)} |")
    print(f"| --- {'| ---: ' * (len(headings) - 1)}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print()


def main() -> None:
    """Prints a table for each kind of growth."""
    parser = argparse.ArgumentParser(description="Measures how the time of each stage grows.")
    parser.add_argument("--cache", type=Path, required=True, help="folder for networks")
    parser.add_argument(
        "--by", action="append", choices=("size", "classes", "detections"), help="repeatable"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=60)
    arguments = parser.parse_args()
    store, rounds, frames = Store(arguments.cache), arguments.rounds, arguments.frames
    axes = arguments.by or ("size", "classes", "detections")
    print(f"{machine()}, one core")
    with tempfile.TemporaryDirectory() as folder:
        try:
            clip = str(write_demo_clip(Path(folder)))
            if "size" in axes:
                sizes = {f"{s}x{s}": exported(store, default_weights(), "onnx", s) for s in SIDES}
                _by_bundle("input", sizes, rounds, frames, clip)
            if "classes" in axes:
                networks = {n: random_weights(store, "lite0", classes=n) for n in CLASSES}
                made = {str(n): exported(store, path, "onnx") for n, path in networks.items()}
                _by_bundle("classes", made, rounds, frames, clip)
            if "detections" in axes:
                _by_detections(rounds, frames)
        except EdgeKitError as error:
            raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
