"""Cuts a track (one actor) into tubes (one action each) by the evidence for each class.

The evidence of a frame for a class is its score minus half of the level that the track reaches when
it acts. The stretches with the largest sums of evidence are the actions. They are the
maximal-scoring segments of Ruzzo and Tompa ("A linear time algorithm for finding all maximal
scoring subsequences", ISMB 1999).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["maximal_segments", "mean_of_best", "spans"]

TOP = 40
HALF = 0.5


def maximal_segments(values: Sequence[float]) -> list[tuple[int, int, float]]:
    """Returns all maximal-scoring segments, in order.

    A segment is maximal if its sum is above that of all its parts, and no longer segment with that
    property contains it.

    Args:
        values: Any real numbers.

    Returns:
        First index, last index (inclusive) and sum of each segment; sums are above 0.
    """
    found: list[tuple[int, int, float, float]] = []  # first, last, sums before and with it
    total = 0.0
    for place, value in enumerate(values):
        before, total = total, total + value
        if value <= 0:
            continue
        first, low = place, before
        while True:
            # A segment whose sum at its start is not lower cannot be joined with this segment,
            # nor with a later one.
            at = len(found) - 1
            while at >= 0 and found[at][2] >= low:
                at -= 1
            if at < 0 or found[at][3] >= total:
                break
            first, low = found[at][0], found[at][2]
            del found[at:]
        found.append((first, place, low, total))
    return [(first, last, high - low) for first, last, low, high in found]


def mean_of_best(scores: Array, count: int = TOP) -> float:
    """Returns the mean of the ``count`` highest of (n,) scores, or of all if there are fewer."""
    if len(scores) > count:
        scores = np.partition(scores, len(scores) - count)[-count:]
    return float(scores.mean())


def spans(scores: Array, seen: Array, steps: Array) -> list[tuple[int, int, float]]:
    """Returns the stretches in which a class acts within a track.

    Args:
        scores: Score of the class in each frame, (n,); values of unseen frames are not used.
        seen: Whether each frame has a detection, (n,) bool; at least one has.
        steps: Time that each frame stands for, (n,), in frames at 25 per second.

    Returns:
        First index, last index (inclusive) and level of each stretch, in order.
    """
    level = mean_of_best(scores[seen], max(1, round(TOP / float(steps.mean()))))
    if level <= 0:
        return []
    # A frame without a detection is no evidence for or against the action.
    evidence = np.where(seen, (scores - HALF * level) * steps, 0.0)
    return [(first, last, level) for first, last, _ in maximal_segments(evidence.tolist())]
