"""Finds tubes that annotate one action twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.runtime.types import Array

__all__ = ["overlapping_tubes"]

_LEAST_OVERLAP = 0.8


def overlapping_tubes(tubes: Sequence[TruthTube]) -> Iterator[tuple[int, int, float]]:
    """Yields pairs of tubes of one class in one place.

    The mean overlap (IoU) of their boxes in the frames that they share is at least 0.8, and they
    share at least half of the shorter one.

    Args:
        tubes: Tubes of one video.

    Yields:
        Indices of both tubes, and their mean overlap.
    """
    for one, other in sorted(_at_one_time(tubes)):
        first, second = tubes[one], tubes[other]
        start, end = max(first.start, second.start), min(first.end, second.end) + 1
        shorter = min(len(first.boxes), len(second.boxes))
        if 2 * (end - start) < shorter:
            continue
        overlap = _mean_overlap(
            first.boxes[start - first.start : end - first.start],
            second.boxes[start - second.start : end - second.start],
        )
        if overlap >= _LEAST_OVERLAP:
            yield one, other, overlap


def _at_one_time(tubes: Sequence[TruthTube]) -> Iterator[tuple[int, int]]:
    """Yields the pairs of tubes of one class that share a frame; long videos have few of all."""
    order = sorted(range(len(tubes)), key=lambda number: tubes[number].start)
    for place, one in enumerate(order):
        for other in islice(order, place + 1, None):
            if tubes[other].start > tubes[one].end:
                break
            if tubes[other].label == tubes[one].label:
                yield min(one, other), max(one, other)


def _mean_overlap(one: Array, other: Array) -> float:
    corners = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    both = corners.clip(0).prod(1)
    areas = (one[:, 2:] - one[:, :2]).clip(0).prod(1) + (other[:, 2:] - other[:, :2]).clip(0).prod(
        1
    )
    return float((both / np.maximum(areas - both, 1e-9)).mean())
