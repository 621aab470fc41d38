"""IoU of boxes under each rule that the published codes and the inference runtimes use.

The rules differ in what a box covers, and in how a union of nothing is treated. Results must equal
those of the published code to the last bit, so each rule is a function of its own:

- ``pairwise_iou``: continuous boxes, width = x2 - x1. Used to suppress boxes, in float64.
- ``touching_pairs``: the same rule in float32, only for pairs that touch; EdgeKit's own linker.
- ``last_pixel_iou``: a box includes its last pixel, width = x2 - x1 + 1; the published linkers.
- ``xywh_iou``: boxes as corner and size, with an epsilon in the union; the published evaluation.
- ``unordered_iou``: boxes whose corners may be in any order, as networks with random weights give.
"""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array

__all__ = [
    "last_pixel_iou",
    "pairwise_iou",
    "touching_pairs",
    "unordered_iou",
    "with_last_pixel",
    "xywh_iou",
]

_EPSILON = float(np.finfo(np.float64).eps)


def pairwise_iou(boxes: Array) -> Array:
    """Returns the IoU of every box with every other, with areas as width times height.

    Args:
        boxes: Boxes in pixels, (n, 4). Empty and inverted boxes overlap nothing, even themselves.

    Returns:
        (n, n) float64.
    """
    x1, y1, x2, y2 = np.asarray(boxes, np.float64).T
    width = np.minimum.outer(x2, x2) - np.maximum.outer(x1, x1)
    height = np.minimum.outer(y2, y2) - np.maximum.outer(y1, y1)
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    area = (x2 - x1) * (y2 - y1)
    iou: Array = np.zeros_like(shared)
    np.divide(shared, np.add.outer(area, area) - shared, out=iou, where=shared > 0)
    return iou


def touching_pairs(first: Array, second: Array, least: float) -> tuple[Array, Array, Array]:
    """Returns the pairs of boxes whose IoU is at least ``least``, which is above 0.

    Args:
        first: Boxes, (n, 4).
        second: Boxes, (m, 4).
        least: Smallest IoU of a pair, above 0.

    Returns:
        Rows of ``first``, rows of ``second`` and IoUs, (E,) each, ordered by first, then second.
    """
    one, two = first.T.astype(np.float32), second.T.astype(np.float32)
    # Only the few steps that find touching boxes work on all pairs.
    width = np.minimum.outer(one[2], two[2])
    width -= np.maximum.outer(one[0], two[0])
    height = np.minimum.outer(one[3], two[3])
    height -= np.maximum.outer(one[1], two[1])
    touching = np.flatnonzero(np.minimum(width, height).ravel() > 0)
    rows, columns = np.divmod(touching, len(second))
    shared = width.ravel()[touching] * height.ravel()[touching]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    iou = shared / (areas[0][rows] + areas[1][columns] - shared)
    good = np.flatnonzero(iou >= least)
    return rows[good], columns[good], iou[good]


def with_last_pixel(
    x1: Array, y1: Array, x2: Array, y2: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Returns left, top, right, bottom and area of boxes that include their last pixel."""
    width, height = x2 - x1 + 1.0, y2 - y1 + 1.0
    return x1, y1, x1 + width, y1 + height, width * height


def last_pixel_iou(boxes: Array, others: Array) -> Array:
    """Returns the IoU of each box with others of its own; both include their last pixel.

    Inverted boxes overlap nothing.

    Args:
        boxes: Boxes in pixels, (P, 4).
        others: K other boxes for each of ``boxes``, (5, P, K), from ``with_last_pixel``.

    Returns:
        (P, K) float64; NaN where a coordinate is NaN.
    """
    left, top, right, bottom, area = others
    shared: Array
    sides = boxes[:, 2:] - boxes[:, :2] + 1.0
    end = boxes[:, :2] + sides
    shared = np.minimum(right, end[:, :1])
    shared -= np.maximum(left, boxes[:, :1])
    np.maximum(shared, 0.0, out=shared)
    down = np.minimum(bottom, end[:, 1:])
    down -= np.maximum(top, boxes[:, 1:2])
    shared *= np.maximum(down, 0.0, out=down)
    union = area + sides.prod(axis=1)[:, None]
    union -= shared
    union += _EPSILON
    shared /= union
    return shared


def xywh_iou(first: Array, second: Array) -> Array:
    """Returns the IoU of boxes ``[x, y, w, h]``; arrays (..., 4) broadcast against each other.

    A box of negative width or height overlaps nothing.
    """
    near = np.maximum(first[..., :2], second[..., :2])
    far = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    shared: Array = np.maximum(far - near, 0.0).prod(axis=-1)
    area = first[..., 2:].prod(axis=-1) + second[..., 2:].prod(axis=-1)
    iou: Array = np.zeros_like(shared)
    np.divide(shared, area - shared + _EPSILON, out=iou, where=shared > 0)
    return iou


def unordered_iou(one: Array, other: Array) -> Array:
    """Returns IoU (n, m) of boxes whose corners may be in any order: sizes can be negative."""
    low = [np.minimum(boxes[:, :2], boxes[:, 2:]) for boxes in (one, other)]
    high = [np.maximum(boxes[:, :2], boxes[:, 2:]) for boxes in (one, other)]
    areas = [(top - bottom).prod(1) for bottom, top in zip(low, high, strict=True)]
    left = np.maximum(low[0][:, None], low[1])
    common = np.clip(np.minimum(high[0][:, None], high[1]) - left, 0, None).prod(2)
    union = areas[0][:, None] + areas[1] - common
    overlaps: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return overlaps
