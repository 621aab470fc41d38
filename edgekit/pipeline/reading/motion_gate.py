"""Decides whether the network may pause, and learns from which size a change is motion.

``edgekit.runtime.motion`` measures the changes, ``motion_detector`` compares them with the learnt
limits, and this module decides from both.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.pipeline.reading.motion_detector import MotionDetector
from edgekit.pipeline.results import GateSummary
from edgekit.runtime.motion import limits, shrunk
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

_UNUSUAL = 7.0
"""Seconds after which first limits are learnt next to an action that does not end."""

_BESIDE = 0.5
"""Share of cells that this needs, and share of their size by which boxes are enlarged."""

_LONG = 60.0
"""Seconds of pause after which lower limits are accepted."""

_Map = npt.NDArray[np.float32]


_Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class _NoiseSample:
    """Changes while nothing acts, from which limits are learnt.

    Attributes:
        began: Seconds of the source at the first picture.
        largest: Largest change of each cell so far.
        free: Cells that were free of actions in all pictures.
        pictures: Number of pictures.
    """

    began: float
    largest: _Map
    free: _Mask
    pictures: int = 0

    def add(self, found: _Map, free: _Mask) -> None:
        """Takes the changes in the next picture."""
        np.maximum(self.largest, found, out=self.largest)
        self.free = free
        self.pictures += 1


class MotionGate:
    """Decides for each picture of a source whether anything moves in it.

    The gate learns the changes by noise, rain, flicker, camera shake and compression. It learns in
    the first seconds in which the network detects no action. Until then, or if the changes cannot
    be distinguished from motion, everything counts as moving. If something acts from the beginning,
    correctly or not, the limits are finally learnt outside its box. If the limits are exceeded for
    long without an action, for example by rain, they are learnt again.

    Args:
        name: Name of the source, for the log.

    Attributes:
        acting: Box ``[x1, y1, x2, y2]`` of each live tube, in pixels; the linking code updates it.
        now: Seconds of the source so far.
        wakes: Number of times that motion ended a pause.
    """

    def __init__(self, name: str = "") -> None:
        self.acting: Sequence[Sequence[float]] = ()
        self.now = 0.0
        self.wakes = 0
        self._name = name
        self._clock = SourceClock()
        self._motion = MotionDetector(self.now)
        self._sample: _NoiseSample | None = None
        self._resting = False
        self._since = self.now
        self._refused = False

    @property
    def threshold(self) -> float | None:
        """Median of the limits, in levels of 0 to 255; None until limits are learnt."""
        found = self._motion.limits
        return None if found is None else float(np.median(found))

    def is_still(self, frame: Frame) -> bool:
        """Returns whether nothing moves in the next frame, and nothing has for a while."""
        self.now += (step := self._clock.step(frame.time))
        cells = shrunk(frame.image)
        if not self._motion.fits(cells):
            self._restart(None)
        elif frame.gap not in ("", "dropped"):
            self._restart(self._motion.limits)
        found = self._motion.add(cells, step, self.now)
        self._learn(found, self._free_cells(found.shape, frame.image.shape))
        resting = self._motion.limits is not None and self.now - self._motion.moved >= _CALM
        if resting != self._resting:
            self.wakes += self._resting
            self._resting, self._since = resting, self.now
            self._sample = None
        return resting

    def summary(self) -> GateSummary:
        """Returns what was learnt so far, and how often motion ended a pause."""
        return GateSummary(self.threshold, self.wakes)

    def _restart(self, found: _Map | None) -> None:
        """Restarts with the pictures, and keeps these limits."""
        self._motion = MotionDetector(self.now, found)
        self._sample = None
        self._since = self.now

    def _free_cells(self, shape: tuple[int, ...], picture: tuple[int, ...]) -> _Mask | None:
        """Returns the cells from which limits may be learnt now; None if learning must wait."""
        free = np.ones(shape, bool)
        if not self.acting:
            return free
        if self._motion.limits is not None:
            return None
        scale = np.tile([shape[1] / picture[1], shape[0] / picture[0]], 2)
        for box in np.asarray(self.acting) * scale:
            reach = _BESIDE * np.tile(box[2:] - box[:2], 2)
            x1, y1, x2, y2 = np.maximum(box + reach * [-1, -1, 1, 1], 0).round().astype(int)
            free[y1 : y2 + 1, x1 : x2 + 1] = False
        return free

    def _learn(self, found: _Map, free: _Mask | None) -> None:
        """Adds a picture to the sample of noise, and learns limits once there are enough."""
        motion, sample = self._motion, self._sample
        awake = motion.limits is not None and not self._resting
        if sample is not None and free is not None:
            # Once nothing acts any more, all cells can be learnt from a new sample.
            sample = None if free.all() and not sample.free.all() else sample
            free = free if sample is None else sample.free & free
        if (
            free is None
            or free.mean() < _BESIDE
            or self.now - motion.began < _SETTLING
            or (awake and self.now - self._since < _RESTLESS)
        ):
            self._sample = None
            return
        if sample is None:
            sample = self._sample = _NoiseSample(self.now, found.copy(), free)
        sample.add(found, free)
        wanted = _LONG if self._resting else _LEARNING
        if sample.pictures >= _LEAST and self.now - sample.began >= wanted:
            self._sample = None
            if free.all() or self.now - motion.began >= _UNUSUAL:
                self._accept(limits(sample.largest, free))

    def _accept(self, learnt: _Map | None) -> None:
        """Uses limits from now on; None says that noise cannot be distinguished from motion."""
        if learnt is None:
            if not self._refused:
                _LOG.warning(
                    "There is too much motion in %s to measure its noise. The network does "
                    "not pause.",
                    self._name,
                )
            self._refused = True
            return
        if self._resting and self._motion.limits is not None:
            learnt = np.minimum(learnt, self._motion.limits)
        self._motion.limits = learnt
        _LOG.info(
            "The network pauses while no part of %s changes by more than about %.1f of 255 levels.",
            self._name,
            self.threshold,
        )
