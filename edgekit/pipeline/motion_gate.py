"""Decides whether the network may pause, by the changes that ``runtime.motion`` measures."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.pipeline.results import GateSummary
from edgekit.runtime.motion import NEAR, ChangeMap, lasting, limits, shrunk
from edgekit.runtime.source_clock import SourceClock
from edgekit.runtime.types import Frame

__all__ = ["MotionGate"]

_LOG = logging.getLogger(__name__)

_SETTLING = 1.0
"""Seconds until the running mean is valid."""

_LEARNING = 3.0
_LEAST = 40
"""Smallest number of seconds, and of pictures, from which the limits are learnt."""

_CALM = 1.0
"""Seconds without motion after which the network pauses."""

_RESTLESS = 10.0
"""Seconds of motion without an action after which the limits are learnt again."""

_UNUSUAL = 10.0
"""Seconds after which first limits are learnt next to an action that does not end."""

_BESIDE = 0.5
"""Share of cells that this needs, and share of their size by which boxes are enlarged."""

_LONG = 60.0
"""Seconds of pause after which lower limits are accepted."""

_LINGERING = 1.5
"""Seconds after which a change counts as motion even if the picture no longer changes."""

_Map = npt.NDArray[np.float32]


# Many attributes: what it learns, from when to when, and what it shows of that.
class MotionGate:
    """Decides for each picture of a source whether anything moves in it.

    The gate learns the changes by noise, rain, flicker, camera shake and compression. It learns in
    the first seconds in which the network detects no action. Until then, or if the changes cannot
    be told from motion, everything counts as moving. If something acts from the beginning,
    correctly or not, the limits are finally learnt outside its box. Motion is detected in its
    second picture. If the limits are exceeded for long without an action, for example by rain, they
    are learnt again.

    Args:
        name: Name of the source, for the log.

    Attributes:
        acting: Box ``[x1, y1, x2, y2]`` of each live tube, in pixels; the linking code updates it.
        now: Seconds of the source so far.
        wakes: Number of times that motion ended a pause.
        threshold: Median of the limits, in levels of 0 to 255; None until limits are learnt.
    """

    def __init__(self, name: str = "") -> None:
        self.acting: Sequence[Sequence[float]] = ()
        self.now = 0.0
        self.wakes = 0
        self.threshold: float | None = None
        self._name = name
        self._clock = SourceClock()
        self._limits: _Map | None = None
        self._cells: _Map | None = None
        self._change: _Map | None = None
        self._largest: _Map | None = None
        self._free: npt.NDArray[np.bool_] | None = None
        self._over: float | None = None
        self._resting = False
        self._refused = False
        self._restart()

    def is_still(self, frame: Frame) -> bool:
        """Returns whether nothing moves in the next frame, and nothing has for a while."""
        self.now += (step := self._clock.step(frame.time))
        cells = shrunk(frame.image)
        if self._cells is not None and cells.shape != self._cells.shape:
            self._limits = self.threshold = None
            self._restart()
        elif frame.gap not in ("", "dropped"):
            self._restart()
        change = self._map.add(cells, step)
        found = lasting(change, change if self._change is None else self._change)
        if self._moves(found, cells):
            self._moved = self.now
        self._cells, self._change = cells, change
        self._learn(found, self._free_cells(found.shape, frame.image.shape))
        resting = self._limits is not None and self.now - self._moved >= _CALM
        if resting != self._resting:
            self.wakes += self._resting
            self._resting, self._since = resting, self.now
            self._forget()
        return resting

    def summary(self) -> GateSummary:
        """Returns what was learnt so far, and how often motion ended a pause."""
        return GateSummary(self.threshold, self.wakes)

    def _restart(self) -> None:
        """Restarts with the pictures, and keeps the limits."""
        self._map = ChangeMap()
        self._cells = self._change = None
        self._began = self._since = self._moved = self.now
        self._over = None
        self._forget()

    def _forget(self) -> None:
        self._largest = self._free = None
        self._count = 0

    def _moves(self, found: _Map, cells: _Map) -> bool:
        if self._limits is None or self._cells is None:
            return False
        over = found > self._limits
        if not over.any():
            self._over = None
            return False
        if self._over is None:
            self._over = self.now
        # A picture that changed once, as by a key frame or a lamp, has not moved.
        again = cv2.dilate(self._map.between(self._cells, cells), NEAR) > self._limits / 2
        return bool((over & again).any()) or self.now - self._over >= _LINGERING

    def _free_cells(
        self, shape: tuple[int, ...], picture: tuple[int, ...]
    ) -> npt.NDArray[np.bool_] | None:
        """Returns the cells from which limits may be learnt now; None if learning must wait."""
        free = np.ones(shape, bool)
        if not self.acting:
            return free
        if self._limits is not None or self.now - self._began < _UNUSUAL:
            return None
        scale = np.tile([shape[1] / picture[1], shape[0] / picture[0]], 2)
        for box in np.asarray(self.acting) * scale:
            reach = _BESIDE * np.tile(box[2:] - box[:2], 2)
            x1, y1, x2, y2 = np.maximum(box + reach * [-1, -1, 1, 1], 0).round().astype(int)
            free[y1 : y2 + 1, x1 : x2 + 1] = False
        return free

    def _learn(self, found: _Map, free: npt.NDArray[np.bool_] | None) -> None:
        wanted = _LONG if self._resting else _LEARNING
        awake = self._limits is not None and not self._resting
        if self._free is not None and free is not None:
            free = self._free & free
        if (
            free is None
            or free.mean() < _BESIDE
            or self.now - self._began < _SETTLING
            or (awake and self.now - self._since < _RESTLESS)
        ):
            self._forget()
            return
        self._free = free
        if self._largest is None:
            self._largest, self._from = found.copy(), self.now
        np.maximum(self._largest, found, out=self._largest)
        self._count += 1
        if self._count < _LEAST or self.now - self._from < wanted:
            return
        learnt = limits(self._largest, free)
        self._forget()
        if learnt is None:
            if not self._refused:
                _LOG.warning(
                    "There is too much motion in %s to measure its noise. The network does "
                    "not pause.",
                    self._name,
                )
            self._refused = True
            return
        if self._resting and self._limits is not None:
            learnt = np.minimum(learnt, self._limits)
        self._limits, self.threshold = learnt, float(np.median(learnt))
        _LOG.info(
            "The network pauses while no part of %s changes by more than about %.1f of 255 levels.",
            self._name,
            self.threshold,
        )
