"""Boxes of finished tubes if frames were dropped: detections, and interpolated boxes."""

from __future__ import annotations

import numpy as np

from edgekit.linking.tracks.history import Rows
from edgekit.runtime.types import Array

__all__ = ["beside_gaps", "interpolated", "reach"]


def reach(rows: Rows, first: int, last: int, newest: int) -> tuple[int, int]:
    """Returns first and last frame of a stretch: a processed frame stands for its nearest frames.

    Args:
        rows: History of the track.
        first: Row of the first processed frame.
        last: Row of the last processed frame.
        newest: Newest frame of the source, processed or not.
    """
    gaps = rows.passed
    before = (gaps[first : first + 2].min() - 1) // 2
    after = (gaps[last : last + 2].min() - 1) // 2
    if last + 1 == len(gaps):  # no later processed frame is nearer
        after = min(gaps[max(last - 1, 0) :].min() - 1, newest - rows.frame[last])
    return int(rows.frame[first] - before), int(rows.frame[last] + after)


def interpolated(
    rows: Rows, boxes: Array, label: int, inside: slice, every: Array
) -> tuple[Array, Array, Array]:
    """Returns boxes, scores and whether a detection exists, for ``every`` frame.

    If every frame was processed, the boxes are those of the filter. Otherwise a detection beside an
    unprocessed frame has its own box, because the filter lags more the farther the processed frames
    are apart. Boxes without a detection are interpolated between the previous and the next one.
    """
    frames, boxes = rows.frame[inside], boxes[inside]
    scores, seen = rows.scores[inside, label].astype(np.float64), rows.seen[inside]
    if len(every) == len(frames):
        return boxes, scores, seen
    own = seen & beside_gaps(rows.passed)[inside]
    boxes = np.where(own[:, None], rows.boxes[inside], boxes)
    observed = np.zeros(len(every), np.bool_)
    observed[frames - every[0]] = seen
    looks, found = np.arange(len(frames)), np.flatnonzero(seen)
    former = found[np.searchsorted(found, looks, side="right") - 1]
    latter = found[np.searchsorted(found, looks)]
    known = frames[latter] - frames[former] == latter - former
    frames, boxes, scores = frames[known], boxes[known], scores[known]
    between = [np.interp(every, frames, column) for column in (*boxes.T, scores)]
    return np.stack(between[:4], axis=1), between[4], observed


def beside_gaps(passed: Array) -> Array:
    """Returns which processed frames have an unprocessed one just before or after them.

    Args:
        passed: Number of source frames since the previous processed frame, (n,).
    """
    gaps = passed > 1
    beside: Array = gaps | np.append(gaps[1:], False)
    return beside
