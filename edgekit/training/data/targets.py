"""CenterNet's training targets of one picture (Zhou et al., arXiv 1904.07850, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["MAX_ACTORS", "STRIDE", "Sample", "targets"]

STRIDE = 4
MAX_ACTORS = 32
"""Largest number of actors of a picture whose sizes and offsets are targets."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One training example.

    Attributes:
        input: Network input, (channels, h, w) float32.
        heatmap: Target heatmap, (classes, h/4, w/4) float32 in [0, 1], 1 at each centre.
        cells: Flat grid index of each centre, (MAX_ACTORS,) int64.
        sizes: Width and height of each box in cells, (MAX_ACTORS, 2) float32.
        offsets: Each centre minus the corner of its cell, in cells, (MAX_ACTORS, 2) float32.
        mask: 1 where there is an actor and 0 elsewhere, (MAX_ACTORS,) float32.
    """

    input: Array
    heatmap: Array
    cells: Array
    sizes: Array
    offsets: Array
    mask: Array


def targets(tensor: Array, boxes: Array, labels: Sequence[int] | Array, classes: int) -> Sample:
    """Returns CenterNet's training targets (Zhou et al., arXiv 1904.07850, section 4).

    Args:
        tensor: Network input, (channels, h, w).
        boxes: Boxes, (k, 4) in input pixels; parts outside the input are cut off.
        labels: Class index of each box, (k,).
        classes: Number of heatmap channels.
    """
    height, width = tensor.shape[1] // STRIDE, tensor.shape[2] // STRIDE
    heatmap = np.zeros((classes, height, width), np.float32)
    cells = np.zeros(MAX_ACTORS, np.int64)
    sizes, offsets = np.zeros((2, MAX_ACTORS, 2), np.float32)
    mask = np.zeros(MAX_ACTORS, np.float32)
    limit = np.array([width, height, width, height], np.float64)
    count = 0
    for box, label in zip(boxes / STRIDE, labels, strict=True):
        x1, y1, x2, y2 = np.clip(box, 0, limit)
        w, h = x2 - x1, y2 - y1
        if w < 1 or h < 1:
            continue
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        column, row = min(int(x), width - 1), min(int(y), height - 1)
        _draw_peak(heatmap[label], column, row, max(0, int(_radius(h, w))))
        if count == MAX_ACTORS:  # without its peak, the network would learn that nobody is there
            continue
        cells[count] = row * width + column
        sizes[count] = w, h
        offsets[count] = x - column, y - row
        mask[count] = 1
        count += 1
    return Sample(tensor, heatmap, cells, sizes, offsets, mask)


def _radius(height: float, width: float, overlap: float = 0.7) -> float:
    """Returns how far a corner may move, in cells, for an IoU of ``overlap`` (arXiv 1808.01244).

    The result is the smallest of three cases: both corners outside, both inside, one of each.
    """
    perimeter, area = height + width, height * width
    cases = (
        (1, -perimeter, area * (1 - overlap) / (1 + overlap)),
        (4, -2 * perimeter, (1 - overlap) * area),
        (4 * overlap, 2 * overlap * perimeter, (overlap - 1) * area),
    )
    roots = [(-b - np.sqrt(b * b - 4 * a * c)) / (2 * a) for a, b, c in cases[:2]]
    a, b, c = cases[2]
    roots.append((-b + np.sqrt(b * b - 4 * a * c)) / (2 * a))
    return float(min(roots))


def _draw_peak(plane: Array, column: int, row: int, radius: int) -> None:
    """Draws a Gaussian of standard deviation (2 r + 1) / 6 where it exceeds the current value."""
    height, width = plane.shape
    deviation = (2 * radius + 1) / 6
    rows = np.arange(max(0, row - radius), min(height, row + radius + 1))
    columns = np.arange(max(0, column - radius), min(width, column + radius + 1))
    distance = (rows[:, None] - row) ** 2 + (columns[None] - column) ** 2
    peak = np.exp(-distance / (2 * deviation * deviation))
    part = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.maximum(part, peak, out=part)
