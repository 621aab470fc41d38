"""Rounds the weights of convolutions to 8-bit integers.

This module does not depend on a file format: all pictures are (1, C, H, W), and all weights (out,
in / groups, height, width).

Processors without VNNI add two neighbouring 8-bit products in 16 bits, and saturate on overflow. On
AVX2, full-range weights cost 6 dB in the heads. Therefore the sum of any two weights that may be
neighbours, in either storage order, is at most 128. The usual remedy, 7-bit weights throughout,
loses twice as much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgekit.quantization.rounding.compensation import LARGEST, Moments, rounded
from edgekit.runtime.types import Array

__all__ = ["Convolution", "IntegerWeights", "load_weights", "save_weights"]

_FILE = "weights.npz"
_LARGEST_PAIR = 128
_WINDOWS = 64
"""Number of windows per picture that are examined in each layer, out of some thousands."""

_DEEPEST = 1152
"""Largest number of weights compensated together; more would take seconds and much memory."""

_TRIES = 6


@dataclass(frozen=True, slots=True, eq=False)
class IntegerWeights:
    """The integer weights of a convolution.

    Attributes:
        values: Integers, (out, in / groups, height, width) int8.
        scale: Value of an integer step in each channel, (out,) float32.
        shift: Number to add to each bias, (out,) float32.
    """

    values: Array
    scale: Array
    shift: Array

    def floats(self) -> Array:
        """Returns the values that the integers represent: float32 with the shape of ``values``."""
        return (self.values * _by_channel(self.scale)).astype(np.float32)


class Convolution:
    """A convolution and the statistics of its input.

    Args:
        weights: Weights, (out, in / groups, height, width).
        groups: Number of channel groups.
        strides: Vertical and horizontal stride.
        pads: Rows and columns of zeros at the top, left, bottom and right. None if it reads its
            input in another way; the input then gives no statistics.
        scale: Required value of an integer step in each channel, (out,), with the largest weights
            at 127. By default it is the smallest without overflow of pairs.
    """

    def __init__(
        self,
        weights: Array,
        *,
        groups: int = 1,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[int] | None = (0, 0, 0, 0),
        scale: Array | None = None,
    ) -> None:
        self._weights = weights.astype(np.float64)
        self._groups, self._strides = groups, tuple(strides)
        self._pads = tuple(pads or (0, 0, 0, 0))
        self._given = scale
        self._dense = groups == 1
        # In a deep layer, only some channels are handled at a time.
        channels = weights.shape[1]
        window = math.prod(weights.shape[2:])
        fits = (n for n in range(channels, 0, -1) if channels % n == 0 and n * window <= _DEEPEST)
        self._channels = next(fits, 1) if self._dense else channels
        blocks = channels // self._channels if self._dense else groups
        self._moments = None if pads is None else Moments(blocks, self._channels * window)

    def look(self, values: Array, sample: int) -> None:
        """Adds its input for one picture to the statistics.

        Args:
            values: Input of the convolution, (1, C, H, W).
            sample: Number of the picture, which determines the examined windows.
        """
        if self._moments is None:
            return
        top, left, bottom, right = self._pads
        padded = np.pad(values[0], ((0, 0), (top, bottom), (left, right)))
        windows = sliding_window_view(padded, self._weights.shape[2:], (1, 2))
        windows = windows[:, :: self._strides[0], :: self._strides[1]]
        height, width = windows.shape[1:3]
        random = np.random.default_rng(sample)
        places = random.choice(height * width, min(_WINDOWS, height * width), replace=False)
        chosen = windows[:, places // width, places % width]
        blocks = chosen.reshape(-1, self._channels, *chosen.shape[1:])
        self._moments.add(blocks.transpose(0, 2, 1, 3, 4).reshape(len(blocks), len(places), -1))

    def integers(self) -> IntegerWeights:
        """Returns its weights, rounded according to all examined inputs."""
        first = self._given if self._given is not None else _scale(self._weights)
        plain = np.rint(self._weights / _by_channel(first)).clip(-LARGEST, LARGEST)
        if self._moments is None or not self._moments.count:
            return self._made(plain, first)
        if self._given is not None:
            return self._made(self._with_largest(self._compensated(first), plain), first)
        scale, found, todo = first.copy(), plain.copy(), np.ones(len(first), bool)
        for _ in range(_TRIES):
            found[todo] = self._compensated(scale)[todo]
            pairs = _largest_pair(found)
            todo = pairs > _LARGEST_PAIR
            if not todo.any():
                return self._made(found, scale)
            scale = np.where(todo, scale * pairs / (_LARGEST_PAIR - 1), scale)
        found[todo], scale[todo] = plain[todo], first[todo]
        return self._made(found, scale)

    def _compensated(self, scale: Array) -> Array:
        assert self._moments is not None
        weights = self._split(self._weights)
        scales = self._split(np.broadcast_to(_by_channel(scale), self._weights.shape))[:, :, 0]
        return self._joined(rounded(weights, scales, self._moments))

    def _with_largest(self, found: Array, plain: Array) -> Array:
        """Restores the largest weight of each channel, from which its scale is derived."""
        rows, others = found.reshape(len(found), -1), plain.reshape(len(found), -1)
        places = np.abs(others).argmax(1)[:, None]
        np.put_along_axis(rows, places, np.take_along_axis(others, places, 1), 1)
        return rows.reshape(found.shape)

    def _made(self, whole: Array, scale: Array) -> IntegerWeights:
        single = scale.astype(np.float32)
        lost = self._split(self._weights - whole * _by_channel(single))
        if self._moments is None:
            shift = np.zeros(len(scale))
        else:
            by_block = np.einsum("god,gd->go", lost, self._moments.mean)
            shift = by_block.sum(0) if self._dense else by_block.ravel()
        return IntegerWeights(whole.astype(np.int8), single, shift.astype(np.float32))

    def _split(self, values: Array) -> Array:
        """Splits (out, in / groups, height, width) into (blocks, outputs, weights)."""
        out = len(values)
        if not self._dense:
            return values.reshape(self._groups, out // self._groups, -1)
        blocks = values.reshape(out, -1, self._channels * math.prod(values.shape[2:]))
        return blocks.swapaxes(0, 1)

    def _joined(self, blocks: Array) -> Array:
        """Reverses ``_split``."""
        return (blocks.swapaxes(0, 1) if self._dense else blocks).reshape(self._weights.shape)


def save_weights(found: Mapping[str, IntegerWeights], folder: Path) -> None:
    """Writes integer weights into a folder of statistics."""
    arrays = {
        f"{place}-{field}": getattr(made, field)
        for place, made in enumerate(found.values())
        for field in IntegerWeights.__slots__
    }
    np.savez(folder / _FILE, allow_pickle=False, names=np.array(list(found)), **arrays)


def load_weights(folder: Path) -> dict[str, IntegerWeights]:
    """Reads what ``save_weights`` wrote into a folder."""
    with np.load(folder / _FILE) as file:
        return {
            name: IntegerWeights(*(file[f"{place}-{f}"] for f in IntegerWeights.__slots__))
            for place, name in enumerate(file["names"].tolist())
        }


def _scale(weights: Array) -> Array:
    """Returns (out,) the smallest scale that keeps all weights in range, alone and in pairs."""
    span = np.maximum(np.abs(weights).reshape(len(weights), -1).max(1), _largest_pair(weights))
    return np.where(span > 0, span / LARGEST, 1.0)


def _largest_pair(weights: Array) -> Array:
    """Returns (out,) the largest sum of two neighbours' magnitudes, in both storage orders."""
    if weights.shape[1] == 1:  # kernels of a depthwise convolution are not neighbours
        return np.zeros(len(weights))
    size = np.abs(weights)
    orders = (size, size.transpose(0, 2, 3, 1))
    flat = [order.reshape(len(weights), -1) for order in orders]
    largest: Array = np.max([(rows[:, :-1] + rows[:, 1:]).max(1) for rows in flat], axis=0)
    return largest


def _by_channel(values: Array) -> Array:
    return values[:, None, None, None]
