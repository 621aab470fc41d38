"""Measures how much each cell of a picture changed, and computes limits of noise from changes.

It decides nothing: ``motion_detector`` and ``motion_gate`` of ``edgekit.pipeline.reading`` tell
motion from noise.

Every picture is reduced to cells and compared with a running mean of earlier ones. Changes of the
whole picture are removed by least squares: changes of light and flicker (gain and offset), and
camera shake (a small shift). The remaining change of a cell is motion, or noise, rain and
compression. The size of the latter is learnt while nothing acts.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["NEAR", "ChangeMap", "lasting", "limits", "shrunk"]

_Map = npt.NDArray[np.float32]

_CELLS = 80
"""Cells along the longer side; even the smallest detectable limb covers a few of them."""

_SAMPLED = 640
"""Pixels along the longer side that are averaged into cells; more cost time without benefit."""

_MEMORY = 0.5
"""Seconds after which a picture has little weight in the running mean."""

_HIGHEST = 24.0
"""Largest change that can be noise, in levels; larger changes are motion."""

_MARGIN = 2.0
_FLOOR = 3.0
"""Levels added to each limit, because noise varies more in an hour than while it is learnt."""

_HIGH = 0.95
"""Quantile of the free cells' changes that is used for the other cells."""

NEAR = np.ones((3, 3), np.uint8)
"""A cell and its neighbours: a change may move this far and count as being in one place."""

_AROUND = np.ones((15, 15), np.uint8)
_THIRDS = np.full((1, 3), 1 / 3, np.float32)


def shrunk(image: npt.NDArray[np.uint8]) -> _Map:
    """Returns means over the cells of a picture (H, W, 3), as float32 (rows, columns, 3)."""
    share = _SAMPLED / max(image.shape[:2])
    if share < 0.5:
        image = _resized(image, share, cv2.INTER_NEAREST)
    while max(image.shape[:2]) >= 2 * _CELLS and min(image.shape[:2]) > 1:
        # OpenCV is many times faster at exact halves.
        height, width = (side // 2 for side in image.shape[:2])
        halved = cv2.resize(
            image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )
        image = np.asarray(halved, np.uint8)
    share = _CELLS / max(image.shape[:2])
    return (_resized(image, share, cv2.INTER_AREA) if share < 1 else image).astype(np.float32)


def _resized(image: npt.NDArray[np.uint8], share: float, way: int) -> npt.NDArray[np.uint8]:
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def lasting(change: _Map, before: _Map) -> _Map:
    """Returns changes that the previous picture also has, in this cell or a neighbour."""
    return np.asarray(cv2.min(change, cv2.dilate(before, NEAR)), np.float32)


def _grey(cells: _Map) -> _Map:
    return np.asarray(cv2.transform(cells, _THIRDS), np.float32)


class ChangeMap:
    """Measures how much each cell differs from earlier pictures, in levels of 0 to 255.

    Changes of light and small shifts of the whole picture are removed.
    """

    _AGAIN = 8

    def __init__(self) -> None:
        self._mean: _Map | None = None
        self._count = 0
        self._parts: Any = None
        self._solver: Any = None

    def add(self, cells: _Map, step: float) -> _Map:
        """Returns the changes of the next picture against the running mean of earlier ones.

        Args:
            cells: Cells from ``shrunk``, all of one size.
            step: Seconds since the previous picture.

        Returns:
            (rows, columns); 0 for the first picture.
        """
        if self._mean is None:
            self._mean = cells.copy()
            return np.zeros(cells.shape[:2], np.float32)
        if self._count % self._AGAIN == 0:
            self._solve(self._mean)
        self._count += 1
        found = self.between(self._mean, cells)
        weight = max(1 / (self._count + 1), min(0.5, step / _MEMORY))
        cv2.accumulateWeighted(cells, self._mean, weight)
        return found

    def between(self, before: _Map, cells: _Map) -> _Map:
        """Returns the changes from one picture to another, (rows, columns)."""
        change = cells - before
        change -= self._common(_grey(change).ravel()).reshape(change.shape)
        return np.asarray(cv2.blur(_grey(np.abs(change)), (3, 3)), np.float32)

    def _solve(self, mean: _Map) -> None:
        """Prepares the least squares for the effect of light and shift on the mean picture."""
        across, down = np.zeros_like(mean), np.zeros_like(mean)
        across[:, 1:-1] = (mean[:, 2:] - mean[:, :-2]) / 2
        down[1:-1] = (mean[2:] - mean[:-2]) / 2
        parts = (mean, np.ones_like(mean), across, down)
        grey = np.stack([_grey(part).ravel() for part in parts]).astype(np.float64)
        # In a flat picture neither gain nor shift can be determined.
        weak = np.diag([1e-2, 1e-5, 1e-2, 1e-2]) * grey.shape[1]
        self._parts = np.stack([part.ravel() for part in parts])
        # The inverse of so small a matrix costs a sixth of solving for every cell.
        self._solver = (np.linalg.inv(grey @ grey.T + weak) @ grey).astype(np.float32)

    def _common(self, grey: _Map) -> _Map:
        """Returns the part of a change that light and shift explain; moving cells are clipped."""
        some = np.sort(grey[::11])
        middle = some[len(some) // 2]
        reach = 3 * np.sort(np.abs(some - middle))[len(some) // 2] + np.float32(0.5)
        clipped = np.minimum(np.maximum(grey, middle - reach), middle + reach)
        common: _Map = self._solver @ clipped @ self._parts
        return common


def limits(largest: _Map, free: npt.NDArray[np.bool_] | None = None) -> _Map | None:
    """Returns the limit of each cell up to which a change is not motion.

    Args:
        largest: Largest lasting change of each cell while nothing moved, (rows, columns).
        free: Cells in which nothing acted, (rows, columns), at least one; by default all. The other
            cells get a limit that is high among those of the free cells.

    Returns:
        (rows, columns); None if changes are so large that they must be motion.
    """
    # A change that has occurred in a neighbour can also occur in this cell.
    level = cv2.dilate(largest if free is None else np.where(free, largest, 0), _AROUND)
    if free is not None and not free.all():
        level[~free] = np.percentile(level[free], 100 * _HIGH)
    if level.max() > _HIGHEST:
        return None
    return np.asarray(_MARGIN * level + _FLOOR, np.float32)
