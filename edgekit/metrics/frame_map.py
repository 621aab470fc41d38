"""Computes frame-AP, the accuracy of boxes in single frames, by the published protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.average_precision import average_precision
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.frame_selection import Selected, select_frames
from edgekit.metrics.geometry import to_xywh
from edgekit.runtime.iou import xywh_iou
from edgekit.runtime.selection import FRAME_AP
from edgekit.runtime.types import Array, Detections

__all__ = [
    "FRAME_IOU",
    "BoxMatches",
    "FrameMatches",
    "frame_average_precision",
    "match_boxes",
    "match_frames",
]

FRAME_IOU = 0.5
"""Smallest IoU at which a box is correct."""


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


@dataclass(frozen=True, slots=True, eq=False)
class BoxMatches:
    """The boxes of one video that count, and the annotated boxes that they take.

    Attributes:
        selected: Frame, class and row of each box, ordered by frame, class and rank, (n,) each.
        scores: Class score of each box, (n,).
        overlaps: IoU of each annotated tube's box with the boxes of its frames, (T, n); else 0.
        taken: Annotated tube whose box each box takes, (n,) int; -1 if it takes none.
    """

    selected: Selected
    scores: Array
    overlaps: Array
    taken: Array


def match_frames(
    frames: Sequence[Detections | None],
    truth: Sequence[TruthTube],
    classes: int,
    *,
    any_class: bool,
    growth: float = 1.0,
    annotated_only: bool = False,
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
        annotated_only: Whether boxes in frames without an annotated box are ignored.
    """
    found = FrameDetections.of(frames, classes)
    matches = match_boxes(
        found, truth, any_class=any_class, growth=growth, annotated_only=annotated_only
    )
    total = np.zeros(classes, np.intp)
    for tube in truth:
        missing = int((found.counts[tube.start : tube.end + 1] < 0).sum())
        total[tube.label] += len(tube.boxes) - missing
    return FrameMatches(matches.selected.label, matches.scores, matches.taken >= 0, total)


def match_boxes(
    found: FrameDetections,
    truth: Sequence[TruthTube],
    *,
    any_class: bool,
    growth: float = 1.0,
    annotated_only: bool = False,
) -> BoxMatches:
    """Returns which annotated box each box of a video takes; ``match_frames`` has the arguments."""
    selected = select_frames(found, FRAME_AP)
    if annotated_only:
        annotated = np.zeros(len(found), np.bool_)
        for tube in truth:
            annotated[tube.start : tube.end + 1] = True
        selected = Selected(*(column[annotated[selected.frame]] for column in selected))
    overlaps = _overlaps(found, selected, truth, growth)
    scores = found.scores[selected.box, selected.label].astype(np.float64)
    return BoxMatches(selected, scores, overlaps, _taken(selected, truth, overlaps, any_class))


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


def _taken(
    selected: Selected, truth: Sequence[TruthTube], overlaps: Array, any_class: bool
) -> Array:
    """Returns the annotated tube whose box each of the selected boxes takes, (m,); -1 for none."""
    labels = np.array([tube.label for tube in truth], np.intp)
    starts, ends = (np.array([getattr(t, name) for t in truth]) for name in ("start", "end"))
    present = (starts[:, None] <= selected.frame) & (selected.frame <= ends[:, None])
    own = labels[:, None] == selected.label
    # A class that is not annotated in a frame has no hit there.
    able = present & (own | any_class) & (present & own).any(axis=0) & (overlaps >= FRAME_IOU)
    chosen = np.full(len(selected.box), -1, np.intp)
    taken: set[tuple[int, int]] = set()
    for entry in np.flatnonzero(able.any(axis=0)).tolist():
        frame = int(selected.frame[entry])
        # Of equal overlaps the first counts. An overlap below the threshold never wins.
        ranked = sorted(np.flatnonzero(able[:, entry]).tolist(), key=lambda i: -overlaps[i, entry])
        best = next((tube for tube in ranked if (frame, tube) not in taken), None)
        if best is not None:
            taken.add((frame, best))
            chosen[entry] = best
    return chosen


def _overlaps(
    frames: FrameDetections, selected: Selected, truth: Sequence[TruthTube], growth: float
) -> Array:
    """Returns the IoU of each tube's box with the selected boxes of its frames, (T, m); else 0."""
    boxes = to_xywh(frames.boxes)
    boxes[:, 2:] += growth
    overlaps = np.zeros((len(truth), len(selected.box)))
    for row, tube in zip(overlaps, truth, strict=True):
        first, last = np.searchsorted(selected.frame, (tube.start, tube.end + 1))
        span = slice(int(first), int(last))
        annotated = to_xywh(tube.boxes)[selected.frame[span] - tube.start]
        row[span] = xywh_iou(boxes[selected.box[span]], annotated)
    return overlaps
