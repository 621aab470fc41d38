"""Structural similarity of two 8-bit pictures under one-pixel shifts, exact in integers.

SSIM is that of Wang et al. (IEEE TIP 13(4), 2004) with a uniform 7x7 window and sample covariance,
of pictures normalised per channel as a u + b. The window sums of the 8-bit values are integers,
so with N = 49, S the sums and K = N Sxy - Sx Sy the covariance, nothing cancels: dark and flat
pictures are as exact as any. Shifts and their choice are KORSAL's (arXiv 2111.03319, section 3.1).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.runtime.types import Array

__all__ = ["SHIFTS", "WINDOW", "ShiftedSsim"]

WINDOW = 7
_N = WINDOW * WINDOW
_CROP = WINDOW // 2
_K1, _K2 = 0.01, 0.03

SHIFTS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (0, 0))
"""The (dy, dx) at which a shifted picture takes its pixel, in the published order."""

_SMALLEST = 1e-12
"""Stands for C1 and C2 where a picture has one single value: SSIM's limit instead of 0 / 0."""


class ShiftedSsim:
    """Finds the one-pixel shift of a picture that resembles another most, and its SSIM map.

    Args:
        size: (height, width) of both pictures, at least 9 each.
        mean: Per channel, in [0, 1]: a picture is normalised as (u / 255 - mean) / std.
        std: Likewise.
    """

    def __init__(self, size: tuple[int, int], mean: Array, std: Array) -> None:
        height, width = size
        if min(size) < WINDOW + 2:
            raise ValueError(f"pictures of at least {WINDOW + 2} pixels a side, not {size}")
        self._gain = 1 / (255 * np.asarray(std, np.float64))
        self._bias = -np.asarray(mean, np.float64) / np.asarray(std, np.float64)
        channels = len(self._gain)
        inner = (height - 2 * _CROP, width - 2 * _CROP)
        self._size = size
        self._inner = inner
        self._float = [np.empty(inner, np.float32) for _ in range(2)]
        self._int = np.empty(inner, np.int32)
        self._product = np.empty(size, np.uint16)
        self._padded = np.empty((channels, height + 2, width + 2), np.uint8)

    def best_shift(
        self,
        previous: npt.NDArray[np.uint8],
        current: npt.NDArray[np.uint8],
        candidates: int = len(SHIFTS),
    ) -> tuple[int, list[float]]:
        """The shift of ``current`` with the highest mean SSIM against ``previous``.

        Args:
            previous: (C, H, W) uint8.
            current: (C, H, W) uint8.
            candidates: How many of ``SHIFTS``, from the first, to try.

        Returns:
            The index into ``SHIFTS`` (of equal ones the last), and the mean SSIM of each, over
            the pixels whose window lies within the picture.
        """
        self._pad(current)
        ranges = self._data_ranges(current)[:candidates]
        totals = np.zeros(candidates)
        for channel in range(len(self._gain)):
            totals += self._channel_scores(channel, previous[channel], ranges)
        scores = (totals / (len(self._gain) * self._inner[0] * self._inner[1])).tolist()
        return max(range(candidates), key=lambda index: (scores[index], index)), scores

    def map(
        self,
        previous: npt.NDArray[np.uint8],
        current: npt.NDArray[np.uint8],
        shift: int,
        out: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float32]:
        """The SSIM map of ``current`` under one shift against ``previous``.

        Args:
            previous: (C, H, W) uint8.
            current: (C, H, W) uint8.
            shift: Index into ``SHIFTS``.
            out: (C, H, W) float32 to write into.

        Returns:
            (C, H, W) float32 in [-1, 1]; windows over the border see the picture mirrored.
        """
        self._pad(current)
        if out is None:
            out = np.empty(current.shape, np.float32)
        height, width = self._size
        dy, dx = SHIFTS[shift]
        span = self._data_ranges(current)[shift]
        for channel in range(len(self._gain)):
            shifted = self._padded[channel, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
            sum_x, squares_x = _sums(shifted)
            sum_y, squares_y = _sums(previous[channel])
            c1, c2 = self._constants(channel, span)
            mean_x, mean_y = self._means(channel, sum_x), self._means(channel, sum_y)
            np.multiply(shifted, previous[channel], out=self._product, dtype=np.uint16)
            covariance = _box(self._product) * (2 * _N) - 2 * sum_x * sum_y
            top = (2 * mean_x * mean_y + c1) * (covariance + c2)
            low = (mean_x * mean_x + mean_y * mean_y + c1) * (
                _variance(sum_x, squares_x) + _variance(sum_y, squares_y) + c2
            )
            np.divide(top, low, out=out[channel])
        return out

    def _pad(self, current: npt.NDArray[np.uint8]) -> None:
        for channel, plane in enumerate(current):
            cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REFLECT_101, self._padded[channel])

    def _data_ranges(self, current: npt.NDArray[np.uint8]) -> list[float]:
        """Of each shifted picture, its largest less its smallest normalised value.

        A shift loses one row, one column or both, so nine blocks of the picture (core, edges and
        corners) hold what every shift needs.
        """
        parts = (slice(0, 1), slice(1, -1), slice(-1, None))
        high, low = np.empty((3, 3)), np.empty((3, 3))
        gain, bias = self._gain[:, None], self._bias[:, None]
        for i, rows in enumerate(parts):
            for j, columns in enumerate(parts):
                block = current[:, rows, columns].reshape(len(self._gain), -1)
                extremes = np.stack([block.max(1), block.min(1)], 1) * gain + bias
                high[i, j], low[i, j] = extremes[:, 0].max(), extremes[:, 1].min()
        kept = {-1: slice(0, 2), 0: slice(0, 3), 1: slice(1, 3)}
        return [
            float(high[kept[dy], kept[dx]].max() - low[kept[dy], kept[dx]].min())
            for dy, dx in SHIFTS
        ]

    def _constants(self, channel: int, span: float) -> tuple[np.float32, np.float32]:
        """C1, and C2 in the unit of K, N squared pixel values."""
        c1 = max((_K1 * span) ** 2, _SMALLEST)
        c2 = max((_K2 * span) ** 2, _SMALLEST) * _N * (_N - 1) / self._gain[channel] ** 2
        return np.float32(c1), np.float32(c2)

    def _means(self, channel: int, sums: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        return sums * np.float32(self._gain[channel] / _N) + np.float32(self._bias[channel])

    def _channel_scores(
        self, channel: int, previous: npt.NDArray[np.uint8], ranges: list[float]
    ) -> npt.NDArray[np.float64]:
        """Sum of the SSIM over the inner pixels of one channel, for each shift."""
        height, width = self._size
        rows, columns = self._inner
        padded = self._padded[channel]
        sum_x, squares_x = (a[_CROP:-_CROP, _CROP:-_CROP] for a in _sums(padded))
        sum_y, squares_y = (a[_CROP:-_CROP, _CROP:-_CROP] for a in _sums(previous))
        mean_x, mean_y = self._means(channel, sum_x), self._means(channel, sum_y)
        power_x, power_y = mean_x * mean_x, mean_y * mean_y
        variance_x, variance_y = _variance(sum_x, squares_x), _variance(sum_y, squares_y)
        twice_mean_y, twice_sum_y = 2 * mean_y, 2 * sum_y
        top, low = self._float
        totals = np.empty(len(ranges))
        span = None
        for index, (dy, dx) in enumerate(SHIFTS[: len(ranges)]):
            if ranges[index] != span:
                span = ranges[index]
                c1, c2 = self._constants(channel, span)
                power_c, variance_c = power_y + c1, variance_y + c2
            here = (slice(1 + dy, 1 + dy + rows), slice(1 + dx, 1 + dx + columns))
            shifted = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
            np.multiply(shifted, previous, out=self._product, dtype=np.uint16)
            covariance = _box(self._product)[_CROP:-_CROP, _CROP:-_CROP]
            np.multiply(covariance, 2 * _N, out=covariance)
            np.multiply(sum_x[here], twice_sum_y, out=self._int)
            np.subtract(covariance, self._int, out=self._int)
            np.add(self._int, c2, out=low, dtype=np.float32, casting="unsafe")
            np.multiply(mean_x[here], twice_mean_y, out=top)
            top += c1
            top *= low
            np.add(variance_x[here], variance_c, out=low)
            top /= low
            np.add(power_x[here], power_c, out=low)
            top /= low
            totals[index] = top.sum(dtype=np.float64)
        return totals


def _sums(plane: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Window sums of a plane and of its squares; windows over the border see it mirrored."""
    squares = cv2.sqrBoxFilter(
        plane, cv2.CV_32S, (WINDOW, WINDOW), normalize=False, borderType=cv2.BORDER_REFLECT
    )
    return _box(plane), squares.astype(np.int32, copy=False)


def _box(plane: Array) -> npt.NDArray[np.int32]:
    sums = cv2.boxFilter(
        plane, cv2.CV_32S, (WINDOW, WINDOW), normalize=False, borderType=cv2.BORDER_REFLECT
    )
    return sums.astype(np.int32, copy=False)


def _variance(
    sums: npt.NDArray[np.int32], squares: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """N times the sum of squares less the square of the sum, before the one rounding to float."""
    return (squares * _N - sums * sums).astype(np.float32)
