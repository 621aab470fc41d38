"""Computes frame-AP, the accuracy of boxes in single frames, by the published protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.average_precision import average_precision
from edgekit.metrics.geometry import to_xywh
from edgekit.runtime.iou import xywh_iou
from edgekit.runtime.selection import FRAME_AP, select
from edgekit.runtime.types import Array, Detections

__all__ = ["FrameMatches", "frame_average_precision", "match_frames"]

FRAME_IOU = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FrameMatches:
    """Scores and correctness of the boxes in one video's frames.

    Attributes:
        labels: Class of each box that counts, (n,).
        scores: Class score of each box, (n,).
        hits: Whether each box is correct, (n,) bool.
        total: Number of annotated boxes of each class, (C,).
    """

    labels: Array
    scores: Array
    hits: Array
    total: Array


def match_frames(
    frames: Sequence[Detections | None],
    truth: Sequence[TruthTube],
    classes: int,
    *,
    any_class: bool,
    growth: float = 1.0,
) -> FrameMatches:
    """Matches the boxes of a video to the annotated ones, at an IoU of at least 0.5.

    In each class, the best boxes choose first. Each takes the annotated box that it overlaps most
    among those still free.

    Args:
        frames: Detections in 1-based clamped pixels; None for a frame that was not processed, which
            does not count.
        truth: Annotated tubes in 1-based pixels, corners ``[x, y, x + w, y + h]``.
        classes: Number of classes.
        any_class: Whether a detection may take a box of another class if the frame has an annotated
            box of its class: an oversight of the published code.
        growth: Number added to width and height of the found boxes; 1 in the published code.
    """
    total = np.zeros(classes, np.intp)
    for tube in truth:
        missing = sum(found is None for found in frames[tube.start : tube.end + 1])
        total[tube.label] += len(tube.boxes) - missing
    rows: list[tuple[int, float, bool]] = []
    for number, found in enumerate(frames):
        if found is None:
            continue
        present = [tube for tube in truth if tube.start <= number <= tube.end]
        picks = select(found, FRAME_AP)
        hits = _hits(found, picks, number, present, any_class, growth)
        for label, picked in enumerate(picks):
            for box in picked:
                rows.append((label, float(found.scores[box, label]), (label, box) in hits))
    labels, scores, right = zip(*rows, strict=True) if rows else ((), (), ())
    return FrameMatches(
        np.array(labels, np.intp), np.array(scores, np.float64), np.array(right, np.bool_), total
    )


def frame_average_precision(matches: Sequence[FrameMatches], classes: int) -> Array:
    """Returns the AP of each class over all videos, (C,); NaN if a class is not annotated."""
    if not matches:
        return np.full(classes, np.nan)
    labels = np.concatenate([match.labels for match in matches])
    scores = np.concatenate([match.scores for match in matches])
    hits = np.concatenate([match.hits for match in matches])
    total = np.sum([match.total for match in matches], axis=0)
    return np.array(
        [
            average_precision(scores[labels == label], hits[labels == label], int(total[label]))
            for label in range(classes)
        ]
    )


def _hits(
    found: Detections,
    picks: Sequence[Sequence[int]],
    frame: int,
    present: Sequence[TruthTube],
    any_class: bool,
    growth: float,
) -> set[tuple[int, int]]:
    """Returns the pairs of class and box that are correct."""
    if not present or not len(found):
        return set()
    boxes = to_xywh(found.boxes)
    boxes[:, 2:] += growth
    annotated = to_xywh(np.array([tube.boxes[frame - tube.start] for tube in present]))
    iou = xywh_iou(boxes[:, None], annotated[None])
    labels = [tube.label for tube in present]
    free = set(range(len(present)))
    hits = set()
    for label in sorted(set(labels)):
        for box in picks[label]:
            open_to = [i for i in sorted(free) if any_class or labels[i] == label]
            best = max(open_to, key=lambda i: iou[box, i], default=None)
            if best is not None and iou[box, best] >= FRAME_IOU:
                free.discard(best)
                hits.add((label, box))
    return hits
