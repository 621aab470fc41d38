"""Tells whether anything moves in a source, so that the network can rest while nothing does.

Every picture is shrunk to cells and compared with a running mean of those before it. What all of
the picture does at once is taken out by least squares: a change of light or flicker (gain and
offset) and a shake of the camera (a small shift). What is left in a cell is noise, rain and
compression, or motion. How large the former become is learnt while nothing acts.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["NEAR", "ChangeMap", "lasting", "limits", "shrunk"]

_Map = npt.NDArray[np.float32]

_CELLS = 80
"""Along the longer side: a limb of a person as small as a detector can find covers a few."""

_SAMPLED = 640
"""Pixels along the longer side that are averaged into cells; more cost time and tell no more."""

_MEMORY = 0.5
"""Seconds after which a picture counts little in the running mean."""

_HIGHEST = 24.0
"""Levels. Noise is never that large; whatever is, moves."""

_MARGIN = 2.0
_FLOOR = 3.0
"""Noise does more in an hour than in the seconds of learning; three levels are never motion."""

_HIGH = 0.95
"""Share of the cells whose noise is below the one that is assumed where none could be learnt."""

NEAR = np.ones((3, 3), np.uint8)
"""A cell and those beside it: what moves by less is in the same place."""

_AROUND = np.ones((15, 15), np.uint8)
_THIRDS = np.full((1, 3), 1 / 3, np.float32)


def shrunk(image: npt.NDArray[np.uint8]) -> _Map:
    """Means over the cells of a picture (H, W, 3), as float32 (rows, columns, 3)."""
    share = _SAMPLED / max(image.shape[:2])
    if share < 0.5:
        image = _resized(image, share, cv2.INTER_NEAREST)
    while max(image.shape[:2]) >= 2 * _CELLS and min(image.shape[:2]) > 1:
        # OpenCV is many times as fast at exact halves.
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
    """The changes that were there, in or beside the same cell, in the picture before as well."""
    return np.asarray(cv2.min(change, cv2.dilate(before, NEAR)), np.float32)


def _grey(cells: _Map) -> _Map:
    return np.asarray(cv2.transform(cells, _THIRDS), np.float32)


class ChangeMap:
    """How much each cell of a picture differs from those before it, in levels of 0 to 255.

    Changes of light and small shifts of the whole picture are taken out.
    """

    _AGAIN = 8

    def __init__(self) -> None:
        self._mean: _Map | None = None
        self._count = 0
        self._parts: Any = None
        self._solver: Any = None

    def add(self, cells: _Map, step: float) -> _Map:
        """The changes of the next picture against the running mean of those before it.

        Args:
            cells: As ``shrunk`` gives them, of one size.
            step: Seconds since the picture before.

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
        """The changes from one picture to another, (rows, columns)."""
        change = cells - before
        change -= self._common(_grey(change).ravel()).reshape(change.shape)
        return np.asarray(cv2.blur(_grey(np.abs(change)), (3, 3)), np.float32)

    def _solve(self, mean: _Map) -> None:
        """Prepares for what a change of light or a shift adds to the mean picture."""
        across, down = np.zeros_like(mean), np.zeros_like(mean)
        across[:, 1:-1] = (mean[:, 2:] - mean[:, :-2]) / 2
        down[1:-1] = (mean[2:] - mean[:-2]) / 2
        parts = (mean, np.ones_like(mean), across, down)
        grey = np.stack([_grey(part).ravel() for part in parts])
        # A flat picture has neither a gain nor a shift that could be found.
        weak = np.diag(np.array([1e-2, 1e-5, 1e-2, 1e-2], np.float32)) * grey.shape[1]
        self._parts = np.stack([part.ravel() for part in parts])
        self._solver = np.linalg.solve(grey @ grey.T + weak, grey)

    def _common(self, grey: _Map) -> _Map:
        """What light and shift explain of a change; what moves is clipped, and pulls little."""
        some = np.sort(grey[::11])
        middle = some[len(some) // 2]
        reach = 3 * np.sort(np.abs(some - middle))[len(some) // 2] + np.float32(0.5)
        clipped = np.minimum(np.maximum(grey, middle - reach), middle + reach)
        common: _Map = self._solver @ clipped @ self._parts
        return common


def limits(largest: _Map, free: npt.NDArray[np.bool_] | None = None) -> _Map | None:
    """The changes up to which nothing moves, cell by cell.

    Args:
        largest: (rows, columns): the largest lasting change of each cell while nothing moved.
        free: (rows, columns), at least one: the cells in which nothing acted meanwhile; by default
            all. The others get a limit that is high among those of the free ones.

    Returns:
        (rows, columns); None where changes are too large to be anything but motion.
    """
    # What has not happened in one cell yet has happened in one beside it.
    level = cv2.dilate(largest if free is None else np.where(free, largest, 0), _AROUND)
    if free is not None and not free.all():
        level[~free] = np.percentile(level[free], 100 * _HIGH)
    if level.max() > _HIGHEST:
        return None
    return np.asarray(_MARGIN * level + _FLOOR, np.float32)
