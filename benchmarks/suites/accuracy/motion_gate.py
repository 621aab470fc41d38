"""Measures what ``edgekit run --motion-gate`` saves without motion, and loses with motion.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.motion_gate``; it needs the extra
``video``. The first table repeats half a minute of quiet footage of each kind, with and without the
gate. It compares the CPU time of the pipeline, decoding and learning included. The second table
plays puppets that hold still, act, and hold still again, each clip with a mild disturbance of one
kind. It compares the tubes of runs with and without the gate.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.support.still_footage import FPS, KINDS, disturbed, write_h264
from edgekit.detector import Detector
from edgekit.linking.registry import make_linker
from edgekit.measuring.timing import machine
from edgekit.media import Source, open_source
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.results import FrameResult, RunSummary
from edgekit.runtime.iou import pairwise_iou
from edgekit.runtime.types import Frame, Tube
from edgekit.synthetic import render_clip
from edgekit.targets.base import SessionOptions

__all__ = ["compare_tubes", "main", "story"]

_MINUTE = 60 * FPS
_LOOP = 30 * FPS
_PLAIN = 10 * FPS
_BEFORE, _AFTER = 6 * FPS, 3 * FPS
_STRENGTH = 0.3
"""Strength of the disturbance; with more noise the shipped model finds hardly any puppet."""

_SAME = 0.5


class _Loop(Source):
    """A video that is repeated a given number of times."""

    def __init__(self, path: Path, frames: int) -> None:
        self._path = path
        self._source = open_source(str(path))
        self.name, self.frames = path.name, frames
        self.fps, self.width, self.height = FPS, self._source.width, self._source.height

    def read(self) -> Frame | None:
        """Returns the next picture."""
        if self.position == self.frames:
            return None
        frame = self._source.read()
        if frame is None:
            self._source.close()
            self._source = open_source(str(self._path))
            frame = self._source.read()
        assert frame is not None
        self.position += 1
        return replace(frame, index=self.position - 1, time=(self.position - 1) / FPS)

    def close(self) -> None:
        """Closes the video."""
        self._source.close()


class _Tubes(Sink):
    """Records tubes, and the first frame that showed each of them."""

    def __init__(self) -> None:
        self.ended: list[Tube] = []
        self.first: dict[int, int] = {}

    def frame(self, result: FrameResult) -> None:
        """Records which tubes are shown."""
        for tube in result.tubes:
            self.first.setdefault(tube.id, result.frame.index)

    def tube(self, tube: Tube) -> None:
        """Records a tube."""
        self.ended.append(tube)


def _run(
    detector: Detector, source: Source, *, gate: bool, sinks: Sequence[Sink] = ()
) -> tuple[float, RunSummary]:
    """Returns CPU seconds of this process, and the summary of the run."""
    linker = make_linker("edgekit", len(detector.classes))
    with detector.sibling() as own, source:
        pipeline = Pipeline(source, own, linker, sinks, overlap=True, motion_gate=gate)
        begin = time.process_time()
        summary = pipeline.run()
        return time.process_time() - begin, summary


def _quiet(detector: Detector, folder: Path, seed: int, minutes: int) -> None:
    print(
        "| quiet | limit, levels | CPU, ms a frame | with the gate | share | woken a minute |\n"
        "| --- | --- | --- | --- | --- | --- |"
    )
    for number, (kind, (*_, crf)) in enumerate(KINDS.items()):
        path = folder / f"{kind}.mp4"
        still = next(iter(render_clip(seed + number, size=(480, 640))))
        write_h264(path, disturbed(kind, seed + number, [still] * _LOOP), crf=crf)
        plain, _ = _run(detector, _Loop(path, _PLAIN), gate=False)
        gated, summary = _run(detector, _Loop(path, minutes * _MINUTE), gate=True)
        before, after = 1e3 * plain / _PLAIN, 1e3 * gated / (minutes * _MINUTE)
        found = summary.motion_gate
        assert found is not None
        limit = "none" if found.threshold is None else f"{found.threshold:.1f}"
        share = f"{after / before:.1%} | {found.wakes / minutes:.2f}"
        print(f"| {kind} | {limit} | {before:.2f} | {after:.2f} | {share} |", flush=True)


def story(seed: int) -> Iterator[Any]:
    """Yields the pictures of puppets that stand still, act, and stand still again."""
    images = list(render_clip(seed))
    yield from itertools.repeat(images[0], _BEFORE)
    yield from images
    yield from itertools.repeat(images[-1], _AFTER)


class Loss(NamedTuple):
    """Loss that the gate causes in the tubes of a run.

    Attributes:
        lost: Number of tubes without a counterpart.
        late: Delay of the counterpart's beginning, in frames, for each other tube.
        shown: Delay of the counterpart's first display, in frames, for each other tube.
    """

    lost: int
    late: list[int]
    shown: list[int]


def compare_tubes(plain: _Tubes, gated: _Tubes) -> Loss:
    """Pairs each tube of a plain run with the most similar one in a gated run."""
    late, shown, lost = [], [], 0
    for tube in plain.ended:
        score, other = max(
            ((_likeness(tube, other), other) for other in gated.ended),
            key=lambda pair: pair[0],
            default=(0.0, tube),
        )
        if score < _SAME:
            lost += 1
            continue
        late.append(other.start - tube.start)
        shown.append(gated.first[other.id] - plain.first[tube.id])
    return Loss(lost, late, shown)


def _likeness(one: Tube, other: Tube) -> float:
    """Returns the summed box overlap in their common frames, per frame of the first tube."""
    first, last = max(one.start, other.start), min(one.end, other.end)
    if one.label != other.label or last < first:
        return 0.0
    boxes = [tube.boxes[first - tube.start : last + 1 - tube.start] for tube in (one, other)]
    pairs = np.stack(boxes, axis=1)
    overlaps = [float(pairwise_iou(pair)[0, 1]) for pair in pairs]
    return float(np.mean(overlaps)) * (last + 1 - first) / len(one.boxes)


def _puppets(detector: Detector, folder: Path, seed: int, clips: int) -> None:
    print(
        "\n| puppets, in | clips | tubes | lost | begin later | shown later | rested |"
        "\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for place, kind in enumerate(KINDS):
        tubes = lost = rested = frames = 0
        late: list[int] = []
        shown: list[int] = []
        for number in range(seed + 100 * place, seed + 100 * place + clips):
            path = folder / f"{kind} {number}.mp4"
            write_h264(
                path, disturbed(kind, number, story(number), strength=_STRENGTH), crf=KINDS[kind][2]
            )
            found = _Tubes(), _Tubes()
            _run(detector, open_source(str(path)), gate=False, sinks=found[:1])
            _, summary = _run(detector, open_source(str(path)), gate=True, sinks=found[1:])
            loss = compare_tubes(*found)
            tubes, lost = tubes + len(found[0].ended), lost + loss.lost
            late, shown = late + loss.late, shown + loss.shown
            rested += summary.skipped.get("still", 0)
            frames += summary.frames + summary.skipped.get("still", 0)
            path.unlink()
        words = " | ".join(_spread(values) for values in (late, shown))
        print(
            f"| {kind} | {clips} | {tubes} | {lost} | {words} | {rested / frames:.0%} |", flush=True
        )


def _spread(values: Sequence[int]) -> str:
    if not values:
        return "none"
    return f"median {np.median(values):g}, at most {max(values)}"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description="Measures what the motion gate saves and loses.")
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument(
        "--minutes", type=int, default=5, help="minutes of still footage of each kind"
    )
    parser.add_argument("--clips", type=int, default=4, help="number of puppet clips of each kind")
    parser.add_argument("--seed", type=int, default=7000, help="seed of the first scene and clip")
    arguments = parser.parse_args()
    print(f"{machine()}\n\n{arguments.bundle.name}, 1 thread\n")
    options = SessionOptions(threads=1)
    with (
        tempfile.TemporaryDirectory() as name,
        Detector(arguments.bundle, options=options) as detector,
    ):
        if arguments.minutes:
            _quiet(detector, Path(name), arguments.seed, arguments.minutes)
        if arguments.clips:
            _puppets(detector, Path(name), arguments.seed, arguments.clips)


if __name__ == "__main__":
    main()
