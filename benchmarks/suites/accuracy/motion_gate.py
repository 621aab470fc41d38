"""Measures what ``edgekit run --motion-gate`` saves without motion, and loses with motion.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.motion_gate``; it needs the extra
``video``. The first table repeats half a minute of still footage of each kind, with and without the
gate. It compares the CPU time of the pipeline, decoding and learning included. The second table
plays puppets that hold still, act, and hold still again, each clip with a mild disturbance of one
kind. It compares the tubes of runs with and without the gate with the true ones. The third table
has the same scenes in the full disturbance. It shows in which picture the gate wakes, counted from
the first one in which a puppet has moved.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.accuracy._puppet_stories import BEFORE, actors, story, tube_of
from edgekit.benchmarks.suites.support.still_footage import (
    FPS,
    KINDS,
    LoopedVideo,
    disturbed,
    write_h264,
)
from edgekit.detector import Detector
from edgekit.linking.registry import make_linker
from edgekit.measuring.timing import machine
from edgekit.media import Source, open_source
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.reading.motion_gate import MotionGate
from edgekit.pipeline.results import FrameResult, RunSummary
from edgekit.runtime.types import Tube
from edgekit.synthetic import render_clip
from edgekit.targets.base import SessionOptions

__all__ = ["ActorComparison", "first_move", "main", "wake"]

_MINUTE = 60 * FPS
_LOOP = 30 * FPS
_PLAIN = 5 * FPS
_MOVING = 39
_STRENGTH = 0.3
"""Strength of the disturbance; with more noise the shipped model finds hardly any puppet."""


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


def _read_only(source: Source) -> float:
    """Returns the CPU seconds for reading a source, which no gate can save."""
    begin = time.process_time()
    with source:
        while source.read() is not None:
            pass
    return time.process_time() - begin


def _still(detector: Detector, folder: Path, seed: int, minutes: int) -> None:
    print(
        "| still scene | limit, levels | CPU, ms a frame | with the gate | reading | share "
        "| woken a minute |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for number, (kind, (*_, crf)) in enumerate(KINDS.items()):
        path = folder / f"{kind}.mp4"
        still = next(iter(render_clip(seed + number, size=(480, 640))))
        write_h264(path, disturbed(kind, seed + number, [still] * _LOOP), crf=crf)
        # Half before and half after, because other load changes what a frame costs.
        plain = _run(detector, LoopedVideo(path, _PLAIN), gate=False)[0]
        gated, summary = _run(detector, LoopedVideo(path, minutes * _MINUTE), gate=True)
        plain += _run(detector, LoopedVideo(path, _PLAIN), gate=False)[0]
        seconds = (
            plain / (2 * _PLAIN),
            gated / (minutes * _MINUTE),
            _read_only(LoopedVideo(path, _LOOP)) / _LOOP,
        )
        before, after, reading = (1e3 * each for each in seconds)
        found = summary.motion_gate
        assert found is not None
        limit = "none" if found.threshold is None else f"{found.threshold:.1f}"
        costs = f"{before:.2f} | {after:.2f} | {reading:.2f}"
        share = f"{after / before:.1%} | {found.wakes / minutes:.2f}"
        print(f"| {kind} | {limit} | {costs} | {share} |", flush=True)


@dataclass
class ActorComparison:
    """Tubes of runs without and with the gate, compared for each actor.

    Attributes:
        actors: Number of actors.
        plain: Number of actors found without the gate.
        gated: Number of actors found with the gate.
        lost: Number of actors found only without the gate.
        late: Delay of the tube's beginning, in frames, for each actor found in both runs.
        shown: Delay of the tube's first display, in frames, for each actor found in both runs.
    """

    actors: int = 0
    plain: int = 0
    gated: int = 0
    lost: int = 0
    late: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)

    def add(self, actors: Sequence[Tube], plain: _Tubes, gated: _Tubes) -> None:
        """Compares the tubes of two runs of one clip."""
        for actor in actors:
            one, other = (tube_of(actor, run.ended) for run in (plain, gated))
            self.actors += 1
            self.plain += one is not None
            self.gated += other is not None
            self.lost += one is not None and other is None
            if one is not None and other is not None:
                self.late.append(other.start - one.start)
                self.shown.append(gated.first[other.id] - plain.first[one.id])


def _puppets(detector: Detector, folder: Path, seed: int, clips: int) -> None:
    print(
        "\n| puppets, in | clips | actors | found | with the gate | lost | begin later "
        "| shown later | rested |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for place, kind in enumerate(KINDS):
        found = ActorComparison()
        rested = frames = 0
        for number in range(seed + 100 * place, seed + 100 * place + clips):
            path = folder / f"{kind} {number}.mp4"
            write_h264(
                path, disturbed(kind, number, story(number), strength=_STRENGTH), crf=KINDS[kind][2]
            )
            runs = _Tubes(), _Tubes()
            _run(detector, open_source(str(path)), gate=False, sinks=runs[:1])
            _, summary = _run(detector, open_source(str(path)), gate=True, sinks=runs[1:])
            found.add(actors(number), *runs)
            rested += summary.skipped.get("still", 0)
            frames += summary.frames + summary.skipped.get("still", 0)
            path.unlink()
        counts = f"{found.actors} | {found.plain} | {found.gated} | {found.lost}"
        delays = " | ".join(_spread(values) for values in (found.late, found.shown))
        print(f"| {kind} | {clips} | {counts} | {delays} | {rested / frames:.0%} |", flush=True)


def wake(path: Path, before: int) -> tuple[bool, int | None]:
    """Returns whether the gate rests after ``before`` pictures, and which later one ends that."""
    gate = MotionGate(path.name)
    with open_source(str(path)) as source:
        still = [gate.is_still(frame) for frame in source]
    later = still[before:]
    return still[before - 1], later.index(False) + 1 if False in later else None


def first_move(seed: int) -> int:
    """Returns in which picture after a story's still beginning the first puppet has moved."""
    # The first picture of the clip is still: it is the one that stood still before.
    return max(
        1, min(figure.start for figure in render_clip(seed).figures if figure.end > figure.start)
    )


def _wakes(folder: Path, seed: int, scenes: int) -> None:
    print(
        "\n| a puppet moves, in | scenes | at rest before | awake before the puppet moves "
        "| awake in picture | in the second | never |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for place, kind in enumerate(KINDS):
        resting, times, never = 0, [], 0
        for number in range(seed + 100 * place, seed + 100 * place + scenes):
            path = folder / f"{kind} {number}.mp4"
            # The first picture of a clip is the one that stood still.
            images = itertools.islice(story(number), 1, 1 + BEFORE + _MOVING)
            write_h264(path, disturbed(kind, number, images), crf=KINDS[kind][2])
            rests, picture = wake(path, BEFORE)
            path.unlink()
            resting += rests
            never += rests and picture is None
            if rests and picture is not None:
                times.append(picture - first_move(number) + 1)
        later = [time for time in times if time > 0]
        counts = f"{len(times) - len(later)} | {_spread(later)}"
        second = f"{sum(time <= 2 for time in later)} | {never}"
        print(f"| {kind} | {scenes} | {resting} | {counts} | {second} |", flush=True)


def _spread(values: Sequence[int]) -> str:
    if not values:
        return "none"
    return f"median {np.median(values):g}, at most {max(values)}"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description="Measures what the motion gate saves and loses.")
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument(
        "--minutes", type=int, default=5, help="minutes of still footage of each kind"
    )
    parser.add_argument("--clips", type=int, default=4, help="number of puppet clips of each kind")
    parser.add_argument(
        "--scenes", type=int, default=12, help="number of scenes of each kind for the third table"
    )
    parser.add_argument("--seed", type=int, default=7000, help="seed of the first scene and clip")
    arguments = parser.parse_args()
    print(f"{machine()}\n\n{arguments.bundle.name}, 1 thread\n")
    options = SessionOptions(threads=1)
    with (
        tempfile.TemporaryDirectory() as name,
        Detector(arguments.bundle, options=options) as detector,
    ):
        if arguments.minutes:
            _still(detector, Path(name), arguments.seed, arguments.minutes)
        if arguments.clips:
            _puppets(detector, Path(name), arguments.seed, arguments.clips)
        if arguments.scenes:
            _wakes(Path(name), arguments.seed, arguments.scenes)


if __name__ == "__main__":
    main()
