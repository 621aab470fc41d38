"""Which frames of a source are processed, where not all of them are wanted."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

from edgekit.errors import UsageError
from edgekit.runtime.types import Frame

__all__ = ["FrameRateCap", "Sampling"]

_LONGEST_STEP = 60.0
_FIRST_STEP = 0.04
_USUAL = 16
_TIE = 1e-6
"""Times are rounded; of two frames that are equally near the earlier one is taken."""


class FrameRateCap:
    """Takes frames evenly in time, and no more than so many a second.

    Each moment at which a frame is due gets the frame nearest to it. A source that is slower than
    the cap is taken whole.

    Args:
        fps: Frames a second, finite and above 0.

    Raises:
        UsageError: ``fps`` is something else.
    """

    def __init__(self, fps: float) -> None:
        if not 0 < fps < math.inf:
            raise UsageError(
                f"--fps is {fps:g}, expected a number of frames a second.",
                mend="Give a number above 0, or leave --fps out to process every frame.",
            )
        self._period = 1 / fps
        self._last: float | None = None
        self._waited = 0.0
        self._steps: deque[float] = deque(maxlen=_USUAL)

    def takes(self, frame: Frame) -> bool:
        """Whether to process the next frame of the source.

        The first frame is always taken, and the first one after a reconnect, a seek or another
        size. Times that stand still, run back or jump count as one usual step.
        """
        last, self._last = self._last, frame.time
        if last is None or frame.gap not in ("", "dropped"):
            self._waited = 0.0
            return True
        step = frame.time - last
        if 0 < step <= _LONGEST_STEP:
            self._steps.append(step)
        usual = median(self._steps) if self._steps else _FIRST_STEP
        self._waited += step if 0 < step <= _LONGEST_STEP else usual
        if self._waited + usual / 2 < self._period * (1 - _TIE):
            return False
        # After a pause the frames that were due in it are not made up for.
        self._waited = min(self._waited - self._period, usual / 2)
        return True


class Sampling:
    """Says of each frame of a source whether it is processed, and if not, why.

    Args:
        cap: Limits the rate; None for no limit.
        until: Seconds of the source from which on every frame is processed, so that who reads
            learns that the time is over.
    """

    def __init__(self, cap: FrameRateCap | None = None, *, until: float = math.inf) -> None:
        self._cap = cap
        self._until = until

    def skips(self, frame: Frame) -> str:
        """The reason of the ``Gap`` in which the next frame is counted; empty to process it."""
        if self._cap is None or frame.time >= self._until or self._cap.takes(frame):
            return ""
        return "fps"
