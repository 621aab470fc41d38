"""Overlap of boxes and of tubes, as in the published evaluation."""

from __future__ import annotations

import numpy as np

from edgekit.runtime.iou import xywh_iou
from edgekit.runtime.types import Array

__all__ = ["to_xywh", "tube_iou", "tube_overlap"]


def to_xywh(boxes: Array) -> Array:
    """Converts boxes (n, 4) from ``[x1, y1, x2, y2]`` to ``[x1, y1, x2 - x1, y2 - y1]``."""
    xywh = np.array(boxes, np.float64).reshape(-1, 4)
    xywh[:, 2:] -= xywh[:, :2]
    return xywh


def tube_iou(
    truth_start: int, truth: Array, found_start: int, found: Array, *, growth: float = 1.0
) -> float:
    """Returns the overlap of two tubes, the product of what ``tube_overlap`` returns.

    Args:
        truth_start: First frame of the annotated tube.
        truth: Boxes of the annotated tube, (n, 4) ``[x, y, w, h]``, 1-based.
        found_start: First frame of the found tube.
        found: Boxes of the found tube, (m, 4) ``[x1, y1, x2 - x1, y2 - y1]``, 1-based.
        growth: Number added to all four numbers of the found boxes; in the published code they grow
            by a pixel and move by one.
    """
    in_time, in_space = tube_overlap(truth_start, truth, found_start, found, growth=growth)
    return in_time * in_space


def tube_overlap(
    truth_start: int, truth: Array, found_start: int, found: Array, *, growth: float
) -> tuple[float, float]:
    """Returns the overlap of two tubes in time and in space.

    As published, tubes that share a single frame do not overlap.

    Args:
        truth_start: First frame of the annotated tube.
        truth: Boxes of the annotated tube, (n, 4) ``[x, y, w, h]``, 1-based.
        found_start: First frame of the found tube.
        found: Boxes of the found tube, (m, 4) ``[x1, y1, x2 - x1, y2 - y1]``, 1-based.
        growth: Number added to all four numbers of the found boxes; in the published code they grow
            by a pixel and move by one.

    Returns:
        IoU of the spans, and mean IoU of the boxes in the common frames.
    """
    truth_end, found_end = truth_start + len(truth) - 1, found_start + len(found) - 1
    first, last = max(truth_start, found_start), min(truth_end, found_end)
    if last <= first:
        return 0.0, 0.0
    span = max(truth_end, found_end) - min(truth_start, found_start) + 1
    common = last - first + 1
    boxes = truth[first - truth_start :][:common]
    others = found[first - found_start :][:common] + growth
    return common / span, float(xywh_iou(boxes, others).mean())
