"""Measures what each rule of EdgeKit's linker for dropped frames gains.

Run it as ``python -m edgekit.benchmarks.suites.accuracy.linker_rules FOLDER --every 3 5 8``. The
folder is that of ``edgekit.benchmarks.suites.accuracy.linkers``. The table has the share of
video-mAP that remains if only one of so many frames is processed, as the mean over the presets:
first with all rules, then without one of them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np

from edgekit.benchmarks.suites.accuracy.linkers import means, tables, thinned
from edgekit.linking import tracker
from edgekit.linking.tracks import interpolation
from edgekit.linking.tracks.history import Rows
from edgekit.linking.tracks.look import Look
from edgekit.metrics.detections import SavedDetections
from edgekit.metrics.evaluate import evaluate
from edgekit.runtime.types import Array

__all__ = ["WITHOUT", "main", "shares"]


@contextmanager
def _instead(place: object, name: str, value: object) -> Iterator[None]:
    """Replaces an attribute, and puts it back."""
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


_look_at = tracker.OnlineLinker._look_at


def _as_neighbours(linker: tracker.OnlineLinker, seconds: float | None) -> Look:
    """Takes processed frames for consecutive ones."""
    return _look_at(linker, seconds)._replace(elapsed=1.0, usual=1.0)


def _allowed_in_time(look: Look, most: float) -> tuple[float, float]:
    """Counts the misses of all tracks in time only."""
    return min(5.0, most), float(most)


def _processed_only(rows: Rows, first: int, last: int, newest: int) -> tuple[int, int]:
    """Begins and ends a tube at processed frames."""
    return int(rows.frame[first]), int(rows.frame[last])


def _held(
    rows: Rows, boxes: Array, label: int, inside: slice, every: Array
) -> tuple[Array, Array, Array]:
    """Gives a frame the box of the processed frame before it."""
    frames = rows.frame[inside]
    at = np.clip(np.searchsorted(frames, every, side="right") - 1, 0, None)
    seen = np.isin(every, frames) & rows.seen[inside][at]
    return boxes[inside][at], rows.scores[inside, label].astype(np.float64)[at], seen


def _nowhere(passed: Array) -> Array:
    """Gives no detection its own box."""
    return np.zeros(len(passed), np.bool_)


WITHOUT: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "none": nullcontext,
    "motion and misses in time": lambda: _instead(tracker.OnlineLinker, "_look_at", _as_neighbours),
    "misses in processed frames": lambda: _instead(Look, "allowed", _allowed_in_time),
    "nearest frames": lambda: _instead(tracker, "reach", _processed_only),
    "detections' own boxes": lambda: _instead(interpolation, "beside_gaps", _nowhere),
    "interpolation": lambda: _instead(tracker, "interpolated", _held),
    "far stronger detections": lambda: _instead(Look, "outshines", lambda look: math.inf),
}
"""Context manager that switches each rule off."""


def shares(saved: SavedDetections, threshold: str, every: Sequence[int]) -> list[float]:
    """Returns the remaining share of video-mAP, for each rule that is left out and each rate."""
    whole = evaluate(saved).video_map[threshold]
    thin = [thinned(saved, number) for number in every]
    found = []
    for without in WITHOUT.values():
        with without():
            found += [evaluate(each).video_map[threshold] / whole for each in thin]
    return found


def main() -> None:
    """Prints the table, a row for each rule that is left out."""
    parser = argparse.ArgumentParser(description="Measures the linker's rules for dropped frames.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threshold", default="0.5", choices=["0.2", "0.5", "0.75", "0.5:0.95"])
    parser.add_argument("--every", type=int, nargs="+", default=[3, 5, 8], metavar="N")
    arguments = parser.parse_args()
    every: list[int] = arguments.every
    found = tables(arguments.folder, lambda saved: shares(saved, arguments.threshold, every))
    mean = means(list(found.values()))
    print("| rule left out |" + "".join(f" share at 1/{number} |" for number in every))
    print("| --- |" + " --- |" * len(every))
    for number, rule in enumerate(WITHOUT):
        cells = mean[number * len(every) : (number + 1) * len(every)]
        print(f"| {rule} |" + "".join(f" {cell:.3f} |" for cell in cells))


if __name__ == "__main__":
    main()
