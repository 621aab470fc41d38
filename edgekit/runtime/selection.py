"""Selects the boxes of a frame that count for each class: score floor, sorting, suppression.

The rule is that of ROAD (Singh et al., "Online Real-time Multiple Spatiotemporal Action
Localisation and Prediction", ICCV 2017), as in KORSAL's online tubes. All classes share the boxes
of a frame, so their pairwise overlaps are computed once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.runtime.iou import pairwise_iou
from edgekit.runtime.native.library import compiled
from edgekit.runtime.native.selection import picks
from edgekit.runtime.types import Array, Detections

__all__ = ["FRAME_AP", "LINKING", "SelectionRule", "clamp_boxes", "select"]


@dataclass(frozen=True, slots=True)
class SelectionRule:
    """Rule for selecting the boxes of one class.

    Attributes:
        floor: Score that a box must exceed to take part.
        candidates: Number of best boxes that enter the suppression.
        overlap: IoU with a better box above which a box is dropped.
        keep: Largest number of remaining boxes that are selected.
    """

    floor: float = 0.001
    candidates: int = 50
    overlap: float = 0.45
    keep: int = 10


LINKING = SelectionRule()
"""Published rule of the tube linker."""

FRAME_AP = SelectionRule(floor=0.01, keep=20)
"""Published rule of frame-AP."""


def clamp_boxes(boxes: Array, limit: tuple[float, float], *, offset: float = 0.0) -> Array:
    """Returns boxes clipped to their frame as in the published code.

    Only the left and top edges are clipped at 0, and only the right and bottom ones at the limit. A
    box outside the frame therefore becomes inverted, not empty.

    Args:
        boxes: Boxes in 0-based pixels, (n, 4).
        limit: Largest x and y; the published code uses the last pixel, 319 and 239.
        offset: Number added to all coordinates afterwards; 1 gives the published 1-based form.

    Returns:
        (n, 4) float64.
    """
    clamped = np.array(boxes, np.float64).reshape(-1, 4)
    np.maximum(clamped[:, :2], 0.0, out=clamped[:, :2])
    np.minimum(clamped[:, 2:], limit, out=clamped[:, 2:])
    clamped += offset
    return clamped


def select(detections: Detections, rule: SelectionRule = LINKING) -> list[list[int]]:
    """Returns the boxes of a frame that count for each class, best first.

    Args:
        detections: Detections: boxes (n, 4) and scores (n, C). Equal scores keep their order.
        rule: Floor, number of candidates, overlap and number to keep.

    Returns:
        One list for each of the C classes: indices into ``detections.boxes``.
    """
    scores = np.asarray(detections.scores)
    if not len(scores):
        return [[] for _ in range(scores.shape[1])]
    library = compiled()
    if library is not None:
        boxes = np.asarray(detections.boxes)
        limits = (rule.floor, rule.candidates, rule.overlap, rule.keep)
        return picks(library, boxes, scores, *limits)
    return _by_numpy(detections.boxes, scores, rule)


def _by_numpy(boxes: Array, scores: Array, rule: SelectionRule) -> list[list[int]]:
    """Does what the library does, and is the reference for it."""
    by_class = np.ascontiguousarray(scores.T)
    counts = np.minimum((by_class > rule.floor).sum(axis=1), rule.candidates).tolist()
    rankings = np.argsort(-by_class, axis=1, kind="stable").tolist()
    suppresses = _bit_rows(pairwise_iou(boxes) > rule.overlap)
    return [
        _suppress(ranking[:count], suppresses, rule.keep) if count else []
        for ranking, count in zip(rankings, counts, strict=True)
    ]


def _bit_rows(matrix: Array) -> list[int]:
    """Returns each row of a boolean matrix as one integer whose bit j is column j."""
    packed = np.packbits(matrix, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _suppress(ranking: list[int], suppresses: list[int], keep: int) -> list[int]:
    """Returns the boxes of ``ranking`` that no better kept box suppresses (greedy)."""
    picked: list[int] = []
    gone = 0
    for box in ranking:
        if not gone >> box & 1:
            picked.append(box)
            if len(picked) == keep:
                break
            gone |= suppresses[box]
    return picked
