"""Counts the actors that a live run finds after they stood still: docs/live-benchmarks.md.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.late_actors``. Puppets stand still for some
seconds, act, and stand still again. The run has no motion gate, so that the weak detections of
puppets that stand still become tracks. The table counts actors whose tube is found, how soon they
are shown, and false tubes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.accuracy._puppet_stories import BEFORE, actors, story, tube_of
from edgekit.benchmarks.suites.support.still_footage import FPS, disturbed
from edgekit.detector import Detector
from edgekit.linking.registry import make_linker
from edgekit.measuring.timing import machine
from edgekit.runtime.types import Detections, Tube
from edgekit.targets.base import SessionOptions

__all__ = ["Count", "linked", "main"]

_SECONDS = (0, 1, 3, 6)
_STRENGTH = 0.3
"""Strength of the sensor noise; with more noise the shipped model finds hardly any puppet."""


@dataclass
class Count:
    """What a run found in some clips.

    Attributes:
        actors: Number of actors.
        found: Number of actors with a tube.
        false: Number of tubes that show no actor.
        shown: For each actor that was found, the frames from its first one to its tube's display.
    """

    actors: int = 0
    found: int = 0
    false: int = 0
    shown: list[int] = field(default_factory=list)

    def add(self, true: Sequence[Tube], tubes: Sequence[Tube], first: dict[int, int]) -> None:
        """Adds a clip.

        Args:
            true: Tubes of the actors.
            tubes: Tubes of the run.
            first: First frame that showed each tube, by id.
        """
        for actor in true:
            tube = tube_of(actor, tubes)
            self.actors += 1
            self.found += tube is not None
            if tube is not None:
                self.shown.append(max(0, first[tube.id] - actor.start))
        self.false += sum(all(tube_of(actor, [tube]) is None for actor in true) for tube in tubes)


def linked(frames: Sequence[Detections], every: int = 1) -> tuple[list[Tube], dict[int, int]]:
    """Links detections as ``edgekit run`` does.

    Args:
        frames: Detections of consecutive frames.
        every: Number of frames of which one is processed.

    Returns:
        The tubes, and the first frame that showed each of them, by id.
    """
    linker = make_linker("edgekit", frames[0].scores.shape[1])
    tubes: list[Tube] = []
    first: dict[int, int] = {}
    for index, found in enumerate(frames):
        if index % every:
            tubes += linker.skip(1)
            continue
        update = linker.update(found, index / FPS)
        for tube in update.live:
            first.setdefault(tube.id, index)
        tubes += update.closed
    return tubes + linker.finish(), first


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Counts actors that stand still before they act.")
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seed", type=int, default=62000, help="seed of the first clip")
    parser.add_argument(
        "--every", type=int, nargs="+", default=[1, 3], help="process every Nth frame only"
    )
    arguments = parser.parse_args()
    print(f"{machine()}\n\n{arguments.bundle.name}\n")
    counts = {(every, still): Count() for every in arguments.every for still in _SECONDS}
    options = SessionOptions(threads=1)
    with Detector(arguments.bundle, options=options) as detector:
        for seed in range(arguments.seed, arguments.seed + arguments.clips):
            with detector.sibling() as own:
                images = disturbed("sensor noise", seed, story(seed), strength=_STRENGTH)
                frames = [Detections(f.boxes, f.scores) for f in map(own.detect, images)]
            for (every, still), count in counts.items():
                before = still * FPS
                count.add(actors(seed, before), *linked(frames[BEFORE - before :], every))
    print(
        "| processes | seconds still | actors | found | shown after frames, median | false tubes |"
        "\n| --- | --- | --- | --- | --- | --- |"
    )
    for (every, still), count in counts.items():
        after = f"{np.median(count.shown):g}" if count.shown else "none"
        print(
            f"| {'each frame' if every == 1 else f'1 of {every}'} | {still} | {count.actors} "
            f"| {count.found} | {after} | {count.false} |"
        )


if __name__ == "__main__":
    main()
