"""Weights of 8 bits, rounded so that their errors cancel in what a layer gives.

One weight after the other is rounded, and what that changes for the layer's inputs is made good, as
far as it can be, by the weights that are not rounded yet (Frantar et al., "GPTQ", ICLR 2023,
section 3). What is left of the error's mean goes into the bias (Nagel et al., "Data-free
quantization through weight equalization and bias correction", ICCV 2019, section 4.2).
"""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["LARGEST", "Moments", "rounded"]

LARGEST = 127
"""Weights are integers from -127 to 127."""

_DAMPING = 0.01
_BLOCK = 32


class Moments:
    """First and second moments of what the weights of a layer are multiplied by.

    A layer may have ``g`` groups of ``d`` weights for each output, whose inputs have nothing to do
    with each other, or are taken so.

    Attributes:
        square: (g, d, d) float64, the sum of all products of two inputs.
        total: (g, d) float64, the sum of all inputs.
        count: Of the rows that were added.
    """

    def __init__(self, groups: int, depth: int) -> None:
        self.square = np.zeros((groups, depth, depth))
        self.total = np.zeros((groups, depth))
        self.count = 0

    def add(self, rows: Array) -> None:
        """Counts inputs (g, n, d), float."""
        self.square += rows.swapaxes(1, 2) @ rows
        self.total += rows.sum(1, dtype=np.float64)
        self.count += rows.shape[1]

    @property
    def mean(self) -> Array:
        """(g, d) the mean input."""
        return self.total / max(self.count, 1)


def rounded(weights: Array, scale: Array, moments: Moments) -> Array:
    """The integers that stand for weights.

    Args:
        weights: (g, o, d) float, of ``o`` outputs in each of ``g`` groups.
        scale: (g, o) what an integer of 1 stands for.
        moments: Of the inputs.

    Returns:
        (g, o, d) float64 of whole numbers from -127 to 127.
    """
    square = moments.square / max(moments.count, 1)
    depth = square.shape[1]
    size = square[:, range(depth), range(depth)]
    # Where there are fewer inputs than weights, or some are always 0, nothing could be solved.
    ridge = _DAMPING * size.mean(1, keepdims=True)
    square[:, range(depth), range(depth)] += np.where(ridge > 0, ridge, 1.0)
    # The largest inputs first: their errors find the most weights to be made good by.
    order = np.argsort(-size, axis=1, kind="stable")
    square = np.take_along_axis(square, order[:, :, None], 1)
    square = np.take_along_axis(square, order[:, None, :], 2)
    upper = np.linalg.cholesky(np.linalg.inv(square)).swapaxes(1, 2)
    left = np.take_along_axis(weights.astype(np.float64), order[:, None, :], 2)
    for begin in range(0, depth, _BLOCK):
        end = min(begin + _BLOCK, depth)
        errors = np.empty((*left.shape[:2], end - begin))
        for place in range(begin, end):
            column = left[:, :, place]
            whole = np.rint(column / scale).clip(-LARGEST, LARGEST)
            error = (column - whole * scale) / upper[:, place, place, None]
            following = upper[:, place, None, place + 1 : end]
            left[:, :, place + 1 : end] -= error[:, :, None] * following
            left[:, :, place] = whole
            errors[:, :, place - begin] = error
        # What lies beyond the block is made good in one product, which is faster.
        left[:, :, end:] -= errors @ upper[:, begin:end, end:]
    result = np.empty_like(left)
    np.put_along_axis(result, np.broadcast_to(order[:, None, :], left.shape), left, 2)
    return result
