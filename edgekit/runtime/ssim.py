"""Structural similarity of two 8-bit pictures under one-pixel shifts, exact in integers.

SSIM is that of Wang et al. (IEEE TIP 13(4), 2004) with a uniform 7x7 window and sample covariance,
of pictures normalised per channel as a u + b. The window sums S of the 8-bit values are integers,
and so is the covariance K = N Sxy - Sx Sy with N = 49. Therefore nothing cancels: dark and flat
pictures are as exact as others. Shifts and their choice are KORSAL's (arXiv 2111.03319, section
3.1).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.runtime.types import Array

__all__ = [
    *("K1", "K2", "SHIFTS", "SMALLEST", "TIE", "WINDOW"),
    *("ShiftedSsim", "check_size", "scale"),
]

WINDOW = 7
_N = WINDOW * WINDOW
_CROP = WINDOW // 2
K1, K2 = 0.01, 0.03

SHIFTS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (0, 0))
"""The (dy, dx) at which a shifted picture takes its pixel, in the published order."""

TIE = 2e-7
"""Mean SSIM values that differ by no more than this count as equal.

They differ only by the order of summation. Against a black picture whole rows of shifts are equal,
and every implementation must choose the same one."""

SMALLEST = 1e-12
"""Replaces C1 and C2 if a picture has a single value, to give SSIM's limit instead of 0 / 0."""


def check_size(size: tuple[int, int]) -> None:
    """Raises ``ValueError`` if pictures of ``size`` (height, width) are too small to compare."""
    if min(size) < WINDOW + 2:
        raise ValueError(f"expected pictures of at least {WINDOW + 2} pixels a side; found {size}")


def scale(mean: Array, std: Array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns gain a and bias b per channel such that (u / 255 - mean) / std is a u + b."""
    deviation = np.asarray(std, np.float64)
    return 1 / (255 * deviation), -np.asarray(mean, np.float64) / deviation


# Many attributes: buffers that every frame uses again, instead of allocating them.
class ShiftedSsim:
    """Finds the one-pixel shift of a picture that best matches another, and its SSIM map.

    Args:
        size: (height, width) of both pictures, at least 9 each.
        mean: Mean of each channel, in [0, 1]: a picture is normalised as (u / 255 - mean) / std.
        std: Standard deviation of each channel, in [0, 1].
    """

    def __init__(self, size: tuple[int, int], mean: Array, std: Array) -> None:
        height, width = size
        check_size(size)
        self._gain, self._bias = scale(mean, std)
        self._size = size
        channels = len(self._gain)
        # Both pictures have a border of one pixel. A shift is then one offset into flat memory, and
        # all arithmetic runs over it in one piece; results in the border are not read.
        framed = (height + 2, width + 2)
        self._current = np.zeros((channels, *framed), np.uint8)
        self._previous = np.zeros((channels, *framed), np.uint8)
        self._product = np.zeros(framed, np.uint16)
        self._x, self._y = _Moments(framed), _Moments(framed)
        self._covariance = np.empty(framed, np.int32)
        self._int = np.empty(framed, np.int32)
        self._top, self._low = np.zeros((2, *framed), np.float32)
        self._plain = _Moments(size), _Moments(size)
        self._plain_product = np.empty(size, np.uint16)
        self._plain_covariance = np.empty(size, np.int32)
        self._plain_float = np.empty(size, np.float32)

    def best_shift(
        self,
        previous: npt.NDArray[np.uint8],
        current: npt.NDArray[np.uint8],
        candidates: int = len(SHIFTS),
    ) -> tuple[int, list[float]]:
        """Returns the shift of ``current`` with the highest mean SSIM against ``previous``.

        Args:
            previous: Earlier picture, (C, H, W) uint8.
            current: Current picture, (C, H, W) uint8.
            candidates: Number of shifts to try, from the first of ``SHIFTS``.

        Returns:
            The index into ``SHIFTS`` (the last of equal ones), and the mean SSIM of each shift over
            the pixels whose window lies within the picture.
        """
        self._frame(current)
        return self._best(previous, self._data_ranges(current)[:candidates])

    def best_map(
        self,
        previous: npt.NDArray[np.uint8],
        current: npt.NDArray[np.uint8],
        out: npt.NDArray[np.float32],
        candidates: int = len(SHIFTS),
    ) -> int:
        """Computes the SSIM map of ``current`` under its best shift against ``previous``.

        Args:
            previous: Earlier picture, (C, H, W) uint8.
            current: Current picture, (C, H, W) uint8.
            out: Output buffer for the map, (C, H, W) float32, in [-1, 1]; windows over the border
                see the picture mirrored.
            candidates: Number of shifts to try, from the first of ``SHIFTS``.

        Returns:
            The index into ``SHIFTS``.
        """
        self._frame(current)
        ranges = self._data_ranges(current)
        shift, _ = self._best(previous, ranges[:candidates])
        self._map(previous, shift, ranges[shift], out)
        return shift

    def _best(
        self, previous: npt.NDArray[np.uint8], ranges: list[float]
    ) -> tuple[int, list[float]]:
        self._previous[:, 1:-1, 1:-1] = previous
        totals = np.zeros(len(ranges))
        for channel in range(len(self._gain)):
            totals += self._channel_scores(channel, ranges)
        height, width = self._size
        pixels = len(self._gain) * (height - 2 * _CROP) * (width - 2 * _CROP)
        scores = totals / pixels
        return int(np.flatnonzero(scores >= scores.max() - TIE)[-1]), scores.tolist()

    def _map(
        self,
        previous: npt.NDArray[np.uint8],
        shift: int,
        span: float,
        out: npt.NDArray[np.float32],
    ) -> None:
        height, width = self._size
        dy, dx = SHIFTS[shift]
        (x, y), covariance, low = self._plain, self._plain_covariance, self._plain_float
        for channel, similarity in enumerate(out):
            shifted = self._current[channel, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
            gain, bias = self._gain[channel], self._bias[channel]
            x.measure(shifted, gain, bias)
            y.measure(previous[channel], gain, bias)
            c1, c2 = self._constants(channel, span)
            np.multiply(shifted, previous[channel], out=self._plain_product, dtype=np.uint16)
            _box(self._plain_product, covariance)
            covariance *= 2 * _N
            x.sum *= y.sum
            x.sum *= 2
            covariance -= x.sum
            np.add(covariance, c2, out=low, dtype=np.float32, casting="unsafe")
            np.multiply(x.mean, y.mean, out=similarity)
            similarity *= 2
            similarity += c1
            similarity *= low
            y.variance += c2
            x.variance += y.variance
            y.power += c1
            x.power += y.power
            x.variance *= x.power
            similarity /= x.variance

    def _frame(self, current: npt.NDArray[np.uint8]) -> None:
        for plane, framed in zip(current, self._current, strict=True):
            cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REFLECT_101, framed)

    def _data_ranges(self, current: npt.NDArray[np.uint8]) -> list[float]:
        """Returns the largest minus the smallest normalised value of each shifted picture.

        A shift loses one row, one column or both, so nine blocks of the picture (core, edges and
        corners) suffice for every shift.
        """
        parts = (slice(0, 1), slice(1, -1), slice(-1, None))
        high, low = np.empty((3, 3)), np.empty((3, 3))
        for i, rows in enumerate(parts):
            for j, columns in enumerate(parts):
                extremes = [cv2.minMaxLoc(plane[rows, columns])[:2] for plane in current]
                values = np.array(extremes).T * self._gain + self._bias
                low[i, j], high[i, j] = values[0].min(), values[1].max()
        kept = {-1: slice(0, 2), 0: slice(0, 3), 1: slice(1, 3)}
        return [
            float(high[kept[dy], kept[dx]].max() - low[kept[dy], kept[dx]].min())
            for dy, dx in SHIFTS
        ]

    def _constants(self, channel: int, span: float) -> tuple[np.float32, np.float32]:
        """Returns C1, and C2 in the unit of K, N squared pixel values."""
        first, second, gain = K1 * span, K2 * span, self._gain[channel]
        c1 = max(first * first, SMALLEST)
        c2 = max(second * second, SMALLEST) * _N * (_N - 1) / (gain * gain)
        return np.float32(c1), np.float32(c2)

    def _channel_scores(self, channel: int, ranges: list[float]) -> npt.NDArray[np.float64]:
        """Returns the sum of the SSIM over the inner pixels of one channel, for each shift."""
        stride = self._size[1] + 2
        length = self._product.size
        first, last = stride + 1, length - stride - 1
        current, previous = self._current[channel], self._previous[channel]
        x, y = self._x, self._y
        x.measure(current, self._gain[channel], self._bias[channel])
        y.measure(previous, self._gain[channel], self._bias[channel])
        twice_mean = 2 * y.mean.ravel()[first:last]
        twice_sum = 2 * y.sum.ravel()[first:last]
        there = previous.ravel()[first:last]
        covariance, scratch = self._covariance.ravel()[first:last], self._int.ravel()[first:last]
        top, low = self._top.ravel()[first:last], self._low.ravel()[first:last]
        scratch_float = scratch.view(np.float32)
        inner = self._top[1 + _CROP : -1 - _CROP, 1 + _CROP : -1 - _CROP]
        totals = np.empty(len(ranges))
        span = None
        for index, (dy, dx) in enumerate(SHIFTS[: len(ranges)]):
            if ranges[index] != span:
                span = ranges[index]
                c1, c2 = self._constants(channel, span)
                power = y.power.ravel()[first:last] + c1
                variance = y.variance.ravel()[first:last] + c2
            offset = dy * stride + dx
            here = slice(first + offset, last + offset)
            np.multiply(
                current.ravel()[here], there, out=self._product.ravel()[first:last], dtype=np.uint16
            )
            _box(self._product, self._covariance)
            np.multiply(covariance, 2 * _N, out=covariance)
            np.multiply(x.sum.ravel()[here], twice_sum, out=scratch)
            np.subtract(covariance, scratch, out=scratch)
            np.add(scratch, c2, out=low, dtype=np.float32, casting="unsafe")
            np.multiply(x.mean.ravel()[here], twice_mean, out=top)
            np.add(top, c1, out=top)
            np.multiply(top, low, out=top)
            np.add(x.variance.ravel()[here], variance, out=low)
            np.add(x.power.ravel()[here], power, out=scratch_float)
            np.multiply(low, scratch_float, out=low)
            np.divide(top, low, out=top)
            totals[index] = cv2.sumElems(inner)[0]
        return totals


class _Moments:
    """Window sums of one plane and values derived from them, in reused buffers."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.sum, self._squares, self._int = np.empty((3, *size), np.int32)
        self.mean, self.power, self.variance = np.empty((3, *size), np.float32)

    def measure(self, plane: npt.NDArray[np.uint8], gain: float, bias: float) -> None:
        """Fills ``sum``, ``mean`` (normalised), ``power`` (its square), and ``variance``.

        The variance is N times the sum of squares minus the square of the sum. It is computed in
        integers up to the one rounding to float.
        """
        _box(plane, self.sum)
        cv2.sqrBoxFilter(
            plane,
            cv2.CV_32S,
            (WINDOW, WINDOW),
            self._squares,
            normalize=False,
            borderType=cv2.BORDER_REFLECT,
        )
        np.copyto(self.mean, self.sum, casting="unsafe")
        self.mean *= np.float32(gain / _N)
        self.mean += np.float32(bias)
        np.multiply(self.mean, self.mean, out=self.power)
        self._squares *= _N
        np.multiply(self.sum, self.sum, out=self._int)
        self._squares -= self._int
        np.copyto(self.variance, self._squares, casting="unsafe")


def _box(plane: Array, out: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Computes window sums of a plane; windows over the border see it mirrored."""
    cv2.boxFilter(
        plane,
        cv2.CV_32S,
        (WINDOW, WINDOW),
        out,
        normalize=False,
        borderType=cv2.BORDER_REFLECT,
    )
    return out
