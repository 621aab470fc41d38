"""Rounds weights to 8 bits so that their errors cancel in a layer's output.

Weights are rounded one after the other. The weights that are not yet rounded compensate each
rounding error, as far as possible (Frantar et al., "GPTQ", ICLR 2023, section 3). The remaining
mean error goes into the bias (Nagel et al., "Data-free quantization through weight equalization and
bias correction", ICCV 2019, section 4.2).
"""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["LARGEST", "Moments", "rounded"]

LARGEST = 127
"""Largest magnitude: weights are integers from -127 to 127."""

_DAMPING = 0.01
_BLOCK = 32


class Moments:
    """First and second moments of a layer's inputs.

    A layer may have ``g`` groups of ``d`` weights for each output. The inputs of different groups
    are independent, or treated as such.

    Attributes:
        square: Sum of all products of two inputs, (g, d, d) float64.
        total: Sum of all inputs, (g, d) float64.
        count: Number of rows that were added.
    """

    def __init__(self, groups: int, depth: int) -> None:
        self.square = np.zeros((groups, depth, depth))
        self.total = np.zeros((groups, depth))
        self.count = 0

    def add(self, rows: Array) -> None:
        """Adds inputs (g, n, d), float."""
        self.square += rows.swapaxes(1, 2) @ rows
        self.total += rows.sum(1, dtype=np.float64)
        self.count += rows.shape[1]

    @property
    def mean(self) -> Array:
        """Returns the mean input, (g, d)."""
        return self.total / max(self.count, 1)


def rounded(weights: Array, scale: Array, moments: Moments) -> Array:
    """Returns the integers that represent the weights.

    Args:
        weights: Weights of ``o`` outputs in each of ``g`` groups, (g, o, d) float.
        scale: Value of an integer step for each output, (g, o).
        moments: Moments of the inputs.

    Returns:
        (g, o, d) float64, integers from -127 to 127.
    """
    square = moments.square / max(moments.count, 1)
    depth = square.shape[1]
    size = square[:, range(depth), range(depth)]
    # With fewer inputs than weights, or inputs that are always 0, the matrix would be singular.
    ridge = _DAMPING * size.mean(1, keepdims=True)
    square[:, range(depth), range(depth)] += np.where(ridge > 0, ridge, 1.0)
    # The largest inputs come first: most weights are then left to compensate their errors.
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
        # Weights beyond the block are corrected in one matrix product, which is faster.
        left[:, :, end:] -= errors @ upper[:, begin:end, end:]
    result = np.empty_like(left)
    np.put_along_axis(result, np.broadcast_to(order[:, None, :], left.shape), left, 2)
    return result
