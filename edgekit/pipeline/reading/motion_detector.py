"""Decides whether changes that ``edgekit.runtime.motion`` measures exceed given limits of noise."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.runtime.motion import NEAR, ChangeMap, lasting

__all__ = ["MotionDetector"]

_LINGERING = 1.5
"""Seconds after which a change counts as motion even if the picture no longer changes."""

_Map = npt.NDArray[np.float32]


class MotionDetector:
    """Compares the change of each cell with its limit. Motion is detected in its second picture.

    Args:
        now: Seconds of the source when its first picture comes.
        limits: Initial value of the attribute.

    Attributes:
        began: Seconds of the source when the first picture came.
        moved: Seconds of the source when motion was last detected; ``began`` before that.
        limits: Largest change of each cell, in levels of 0 to 255, that is noise; None until noise
            is learnt. Without limits, no motion is detected.
    """

    def __init__(self, now: float, limits: _Map | None = None) -> None:
        self.began = self.moved = now
        self.limits = limits
        self._map = ChangeMap()
        self._cells: _Map | None = None
        self._change: _Map | None = None
        self._exceeded_since: float | None = None

    def fits(self, cells: _Map) -> bool:
        """Returns whether a picture has as many cells as the one before it."""
        return self._cells is None or cells.shape == self._cells.shape

    def add(self, cells: _Map, step: float, now: float) -> _Map:
        """Takes the next picture, and returns by how much each cell has changed lastingly.

        Args:
            cells: Means over the cells of the picture, from ``runtime.motion.shrunk``.
            step: Seconds since the previous picture.
            now: Seconds of the source.
        """
        change = self._map.add(cells, step)
        found = lasting(change, change if self._change is None else self._change)
        if self._moves(found, cells, now):
            self.moved = now
        self._cells, self._change = cells, change
        return found

    def _moves(self, found: _Map, cells: _Map, now: float) -> bool:
        if self.limits is None or self._cells is None:
            return False
        over = found > self.limits
        if not over.any():
            self._exceeded_since = None
            return False
        if self._exceeded_since is None:
            self._exceeded_since = now
        # A picture that changed once, as by a key frame or a lamp, has not moved.
        again = cv2.dilate(self._map.between(self._cells, cells), NEAR) > self.limits / 2
        return bool((over & again).any()) or now - self._exceeded_since >= _LINGERING
