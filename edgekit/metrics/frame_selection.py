"""Selects the boxes that count for frame-AP in all frames of a video at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.selection import SelectionRule, select
from edgekit.runtime.types import Array, Detections

__all__ = ["Selected", "select_frames"]

_MARGIN = 1e-9
"""Frames whose boxes overlap nearly too much are left to ``select``, which rounds otherwise."""


class Selected(NamedTuple):
    """Selected boxes, ordered by frame, then by class, the best boxes first.

    Attributes:
        frame: Index of the frame, (m,).
        label: Class that the box was selected for, (m,).
        box: Row of the box in ``FrameDetections.boxes``, (m,).
    """

    frame: Array
    label: Array
    box: Array


def select_frames(found: FrameDetections, rule: SelectionRule) -> Selected:
    """Returns what ``edgekit.runtime.selection.select`` selects in each frame.

    In most frames no two boxes overlap enough to suppress each other. Their boxes only need to be
    sorted, which this does for all of them together.
    """
    frame = found.frame
    counts = np.maximum(found.counts, 0)
    hard = counts > rule.keep
    firsts = np.cumsum(counts) - counts
    hard[_crowded(found.boxes, counts, firsts, hard, rule.overlap)] = True
    box, label = np.nonzero((found.scores > rule.floor) & ~hard[frame][:, None])
    rest = [
        _one_by_one(found, number, int(firsts[number]), rule)
        for number in np.flatnonzero(hard).tolist()
    ]
    frames = np.concatenate([frame[box], *(part.frame for part in rest)])
    labels = np.concatenate([label, *(part.label for part in rest)])
    boxes = np.concatenate([box, *(part.box for part in rest)])
    # ``select`` keeps boxes of equal score in their order. Its own order is by score too.
    order = np.lexsort((boxes, -found.scores[boxes, labels], labels, frames))
    return Selected(frames[order], labels[order], boxes[order])


def _one_by_one(found: FrameDetections, number: int, first: int, rule: SelectionRule) -> Selected:
    """Returns the selected boxes of the frame ``number``, whose boxes begin at row ``first``."""
    rows = slice(first, first + int(found.counts[number]))
    picks = select(Detections(found.boxes[rows], found.scores[rows]), rule)
    labels = np.repeat(np.arange(len(picks)), [len(pick) for pick in picks])
    boxes = np.array([box for pick in picks for box in pick], np.intp) + first
    return Selected(np.full(len(boxes), number, np.intp), labels, boxes)


def _crowded(boxes: Array, counts: Array, firsts: Array, skipped: Array, overlap: float) -> Array:
    """Returns the frames that have a pair of boxes with an IoU above ``overlap``."""
    boxes = np.asarray(boxes, np.float64)
    crowded = [np.zeros(0, np.intp)]
    # Frames with equally many boxes have the same pairs.
    for count in np.unique(counts[(counts > 1) & ~skipped]):
        frames = np.flatnonzero((counts == count) & ~skipped)
        one, other = np.triu_indices(int(count), 1)
        x1, y1, x2, y2 = boxes[firsts[frames][:, None] + np.arange(count)].transpose(2, 0, 1)
        width = np.minimum(x2[:, one], x2[:, other]) - np.maximum(x1[:, one], x1[:, other])
        height = np.minimum(y2[:, one], y2[:, other]) - np.maximum(y1[:, one], y1[:, other])
        shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
        area = (x2 - x1) * (y2 - y1)
        union = area[:, one] + area[:, other] - shared
        crowded.append(frames[((shared > 0) & (shared > (overlap - _MARGIN) * union)).any(axis=1)])
    return np.concatenate(crowded)
