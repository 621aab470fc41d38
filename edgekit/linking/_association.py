"""Matches live paths and detections for the published linkers, class by class.

Paths and detections are both ordered by class. Within a class, the best detections come first, and
paths are in the order in which they choose.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TypeAlias

import numpy as np

from edgekit.linking.paths import Entry
from edgekit.runtime.iou import last_pixel_iou, with_last_pixel
from edgekit.runtime.types import Array, Detections

__all__ = ["Edge", "Found", "edge_before", "edge_scores", "overlapping", "take_best", "take_first"]

Edge: TypeAlias = tuple[int, int, float]
"""A path, a detection that could continue it, and the gain of that choice."""


class Found:
    """The selected detections of one frame, in flat arrays: class by class, best first.

    Args:
        detections: All detections of the frame: boxes (n, 4) and scores (n, C).
        picks: Indices of the boxes that count for each class, best first.
        frame: Index of the frame.

    Attributes:
        boxes: Selected boxes, (m, 4) float64.
        label: Class of each selected box, (m,).
        score: Score of each selected box for its class, (m,).
        class_scores: Scores of each selected box for all classes, (m, C).
        entries: Path entry of each selected box.
        first: Index at which each class begins, (C,).
        table: Box coordinates of each class, (4, C, K), padded with NaN.
    """

    def __init__(self, detections: Detections, picks: Sequence[Sequence[int]], frame: int) -> None:
        every_box = np.asarray(detections.boxes, np.float64).reshape(-1, 4)
        every_score = np.asarray(detections.scores, np.float64)
        counts = np.array([len(pick) for pick in picks], np.intp)
        index = np.fromiter(itertools.chain.from_iterable(picks), np.intp, counts.sum())
        self.first = np.cumsum(counts) - counts
        self.label = np.repeat(np.arange(len(counts)), counts)
        self.boxes = every_box.take(index, axis=0)
        self.score = every_score[index, self.label]
        self._index = index
        self._every_score = every_score
        self.table = np.full((4, len(counts), counts.max(initial=0)), np.nan)
        self.table[:, self.label, np.arange(len(index)) - self.first[self.label]] = self.boxes.T
        # Copies: a view would keep the whole frame in memory as long as the path lives.
        rows = [row.copy() for row in every_score]
        boxes = every_box.tolist()
        pairs = zip(self.score.tolist(), index.tolist(), strict=True)
        self.entries: list[Entry] = [
            (frame, score, boxes[box], rows[box], True) for score, box in pairs
        ]

    @property
    def class_scores(self) -> Array:
        """Scores of each selected box for all classes, (m, C)."""
        return self._every_score.take(self._index, axis=0)


def overlapping(
    boxes: Array, label: Array, found: Found, iou_threshold: float
) -> tuple[Array, Array]:
    """Returns all pairs of a path and a detection of its class with at least the threshold IoU.

    Widths and heights include the last pixel (x2 - x1 + 1), as published; inverted boxes overlap
    nothing.

    Args:
        boxes: Last box of each path, (P, 4).
        label: Class of each path, (P,).
        found: Selected detections of this frame.
        iou_threshold: Smallest IoU of a pair, above 0.

    Returns:
        Two (E,) arrays of indices, of paths and of detections, ordered by path, then detection.
    """
    x1, y1, x2, y2 = found.table
    found_boxes = np.stack(with_last_pixel(x1, y1, x2, y2)).take(label, axis=1)
    paths, place = np.nonzero(last_pixel_iou(boxes, found_boxes) >= iou_threshold)
    return paths, found.first[label[paths]] + place


def edge_scores(
    cost: str, found: Found, detections: Array, last: Iterable[Sequence[float]]
) -> Array:
    """Returns the preference of a path for a detection, for each possible pair.

    Args:
        cost: One of ``COSTS`` in ``edgekit.linking.published``.
        found: Detections of the frame.
        detections: Index of the pair's detection in ``found``.
        last: Class scores of the pair's path at its last entry.
    """
    score: Array = found.score[detections]
    if cost == "score":
        return score
    now = found.class_scores[detections]
    step = np.array(list(last), np.float64).reshape(now.shape) - now
    similarity: Array = 1.0 - np.sqrt((step**2).sum(axis=1))
    return similarity if cost == "similarity" else score + similarity


def take_first(edges: Iterable[Edge], paths: int, used: bytearray) -> tuple[list[int], list[float]]:
    """Assigns to each path its first free detection, the best if edges score by detection.

    Args:
        edges: Candidate pairs, ordered by path, then by detection.
        paths: Number of paths.
        used: One byte for each detection, which is set to 1 when the detection is taken.

    Returns:
        The detection of each path, or -1; and the gain of each path, or 0.
    """
    partner, gained = [-1] * paths, [0.0] * paths
    for path, detection, gain in edges:
        if not used[detection] and partner[path] < 0 and gain > 0:
            partner[path] = detection
            gained[path] = gain
            used[detection] = 1
    return partner, gained


def take_best(edges: Iterable[Edge], paths: int, used: bytearray) -> tuple[list[int], list[float]]:
    """Assigns to each path its best free detection, if the gains of its free ones sum to > 0.

    Arguments and result are those of ``take_first``.
    """
    partner, gained = [-1] * paths, [0.0] * paths
    for path, group in itertools.groupby(edges, key=itemgetter(0)):
        free = [(detection, gain) for _, detection, gain in group if not used[detection]]
        if sum(gain for _, gain in free) > 0:
            partner[path], gained[path] = max(free, key=itemgetter(1))
            used[partner[path]] = 1
    return partner, gained


def edge_before(label: Array, hit: Array, edge: Array) -> Array:
    """Returns for each path the gain of the last matched path before it in its class, or 0.

    The published code adds this gain of another path to the score of a path that misses.

    Args:
        label: Class of each path, (P,).
        hit: Whether each path has a detection, (P,).
        edge: Gain of each path, (P,).
    """
    place = np.arange(len(label))
    last = np.maximum.accumulate(np.where(hit, place, -1))
    same = (last >= 0) & (label[last] == label)
    return np.where(same, edge[last], 0.0)
