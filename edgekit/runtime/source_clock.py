"""Measures the time between frames of a source, even if the source's times are wrong."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

__all__ = ["SourceClock"]

_LONGEST_STEP = 60.0
_FIRST_STEP = 0.04
_USUAL = 16


class SourceClock:
    """Follows the times of frames as long as they are plausible.

    Times that stand still or run backwards count as one usual step. So does a step of more than a
    minute, unless the one before it was as long: the source then is that slow.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._steps: deque[float] = deque(maxlen=_USUAL)
        self._jumped = False

    @property
    def usual(self) -> float:
        """Typical seconds between two frames, according to recent frames."""
        return median(self._steps) if self._steps else _FIRST_STEP

    def step(self, time: float) -> float:
        """Returns seconds from the previous frame to one at ``time``; 0 for the first frame."""
        last, self._last = self._last, time
        if last is None:
            return 0.0
        step = time - last
        before, self._jumped = self._jumped, _LONGEST_STEP < step < math.inf
        if not (0 < step <= _LONGEST_STEP or (self._jumped and before)):
            return self.usual
        self._steps.append(step)
        return step
