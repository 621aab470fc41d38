"""The weights of convolutions as integers of 8 bits.

Whatever file they are in: all pictures here are (1, C, H, W), and all weights
(out, in / groups, height, width).

Processors without VNNI add two neighbouring products of 8 bits in 16, and where that is too much
they take the largest number there is: on AVX2, full weights cost 6 dB of the heads. So no two
weights that may be neighbours, in whichever order they are stored, have a sum over 128; the usual
remedy, weights of 7 bits throughout, loses twice as much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgekit.quantization.compensation import LARGEST, Moments, rounded
from edgekit.runtime.types import Array

__all__ = ["Convolution", "IntegerWeights", "load_weights", "save_weights"]

_LARGEST_PAIR = 128
_WINDOWS = 64
"""Of one picture that are looked at in each layer, of some thousands."""

_DEEPEST = 1152
"""Weights whose errors are made good together; more would take seconds and much memory."""

_TRIES = 6


@dataclass(frozen=True, slots=True, eq=False)
class IntegerWeights:
    """What a convolution gets in the place of its weights.

    Attributes:
        values: (out, in / groups, height, width) int8.
        scale: (out,) float32, what an integer of 1 stands for in each channel.
        shift: (out,) float32, to be added to the bias.
    """

    values: Array
    scale: Array
    shift: Array

    def floats(self) -> Array:
        """What the integers stand for: float32 of the shape of ``values``."""
        return (self.values * _by_channel(self.scale)).astype(np.float32)


class Convolution:
    """A convolution, and what it reads.

    Args:
        weights: (out, in / groups, height, width).
        groups: Of channels.
        strides: Vertical and horizontal.
        pads: Rows and columns of zeros at the top, left, bottom and right; None if it reads its
            input in another way, and nothing can be learned by looking.
        scale: (out,) what an integer of 1 has to stand for, the largest weights being 127; by
            default as small as may be without an overflow of pairs.
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
        # Of a deep layer, some channels at a time.
        channels = weights.shape[1]
        window = math.prod(weights.shape[2:])
        fits = (n for n in range(channels, 0, -1) if channels % n == 0 and n * window <= _DEEPEST)
        self._channels = next(fits, 1) if self._dense else channels
        blocks = channels // self._channels if self._dense else groups
        self._moments = None if pads is None else Moments(blocks, self._channels * window)

    def look(self, values: Array, sample: int) -> None:
        """Counts what it reads of one picture.

        Args:
            values: (1, C, H, W).
            sample: Number of the picture, which decides where to look.
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
        """Its weights, rounded with regard to all that was looked at."""
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
        """With the largest weight of each channel as it was, from which its scale is read."""
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
        """(blocks, outputs, weights) of (out, in / groups, height, width)."""
        out = len(values)
        if not self._dense:
            return values.reshape(self._groups, out // self._groups, -1)
        blocks = values.reshape(out, -1, self._channels * math.prod(values.shape[2:]))
        return blocks.swapaxes(0, 1)

    def _joined(self, blocks: Array) -> Array:
        """Undoes ``_split``."""
        return (blocks.swapaxes(0, 1) if self._dense else blocks).reshape(self._weights.shape)


def save_weights(found: Mapping[str, IntegerWeights], path: Path) -> None:
    """Writes integers as ``.npz``."""
    arrays = {
        f"{place}-{field}": getattr(made, field)
        for place, made in enumerate(found.values())
        for field in IntegerWeights.__slots__
    }
    np.savez(path, allow_pickle=False, names=np.array(list(found)), **arrays)


def load_weights(path: Path) -> dict[str, IntegerWeights]:
    """Reads what ``save_weights`` wrote."""
    with np.load(path) as file:
        return {
            name: IntegerWeights(*(file[f"{place}-{f}"] for f in IntegerWeights.__slots__))
            for place, name in enumerate(file["names"].tolist())
        }


def _scale(weights: Array) -> Array:
    """(out,) the smallest with which rounding leaves all in range, alone and in pairs."""
    span = np.maximum(np.abs(weights).reshape(len(weights), -1).max(1), _largest_pair(weights))
    return np.where(span > 0, span / LARGEST, 1.0)


def _largest_pair(weights: Array) -> Array:
    """(out,) largest sum of two neighbours without their signs, in both orders of storage."""
    if weights.shape[1] == 1:  # a depthwise convolution has kernels of its own
        return np.zeros(len(weights))
    size = np.abs(weights)
    orders = (size, size.transpose(0, 2, 3, 1))
    flat = [order.reshape(len(weights), -1) for order in orders]
    largest: Array = np.max([(rows[:, :-1] + rows[:, 1:]).max(1) for rows in flat], axis=0)
    return largest


def _by_channel(values: Array) -> Array:
    return values[:, None, None, None]
