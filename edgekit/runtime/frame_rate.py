"""Measures the frame rate of a source from the times of its frames."""

from __future__ import annotations

import math
from statistics import fmean, median

from edgekit.runtime.types import Frame

__all__ = ["MeasuredRate"]

_MOST = 2048
_NEAR = (0.5, 2.0)


class MeasuredRate:
    """The usual frames per second of a source, without its pauses, in bounded memory.

    Args:
        declared: Frames per second that the source declares, for a source without valid times.
    """

    def __init__(self, declared: float) -> None:
        self._declared = declared
        self._last: tuple[int, float] | None = None
        self._steps: list[float] = []
        self._every = 1
        self._count = 0

    def add(self, frame: Frame) -> None:
        """Takes the next frame."""
        last, self._last = self._last, (frame.index, frame.time)
        if last is None or frame.index <= last[0]:
            return
        step = (frame.time - last[1]) / (frame.index - last[0])
        self._count += 1
        if not 0 < step < math.inf or self._count % self._every:
            return
        self._steps.append(step)
        if len(self._steps) > _MOST:
            self._steps = self._steps[::2]
            self._every *= 2

    @property
    def fps(self) -> float:
        """Frames per second."""
        if not self._steps:
            return self._declared
        # Containers round times, so that single steps of a fast source differ.
        usual = median(self._steps)
        return 1 / fmean(step for step in self._steps if _NEAR[0] <= step / usual <= _NEAR[1])
