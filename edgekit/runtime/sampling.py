"""Which frames of a source are processed, where not all of them are wanted."""

from __future__ import annotations

import math

from edgekit.errors import UsageError
from edgekit.runtime.motion_gate import MotionGate
from edgekit.runtime.source_clock import SourceClock
from edgekit.runtime.types import Frame

__all__ = ["HEARTBEAT", "FrameRateCap", "Sampling"]

HEARTBEAT = 3.0
"""Seconds between two frames that are processed while nothing moves."""

_TIE = 1e-6
"""Times are rounded; of two frames that are equally near the earlier one is taken."""


class FrameRateCap:
    """Takes frames evenly in time, and no more than so many a second.

    Each moment at which a frame is due gets the frame nearest to it. A source that is slower than
    the cap is taken whole.

    Args:
        fps: Frames a second, finite and above 0.

    Attributes:
        period: Seconds from one frame to the next.

    Raises:
        UsageError: ``fps`` is something else.
    """

    def __init__(self, fps: float) -> None:
        if not 0 < fps < math.inf:
            raise UsageError(
                f"--fps is {fps:g}, expected a number of frames a second.",
                mend="Give a number above 0, or leave --fps out to process every frame.",
            )
        self.period = 1 / fps
        self._clock = SourceClock()
        self._begun = False
        self._waited = 0.0

    def takes(self, frame: Frame) -> bool:
        """Whether to process the next frame of the source.

        The first frame is always taken, and the first one after a reconnect, a seek or another
        size.
        """
        self._waited += self._clock.step(frame.time)
        if not self._begun or frame.gap not in ("", "dropped"):
            self._begun, self._waited = True, 0.0
            return True
        usual = self._clock.usual
        if self._waited + usual / 2 < self.period * (1 - _TIE):
            return False
        # After a pause the frames that were due in it are not made up for.
        self._waited = min(self._waited - self.period, usual / 2)
        return True


class Sampling:
    """Says of each frame of a source whether it is processed, and if not, why.

    Args:
        cap: Limits the rate; None for no limit.
        gate: Leaves out frames in which nothing moves, up to one in ``HEARTBEAT`` seconds.
        until: Seconds of the source from which on every frame is processed, so that who reads
            learns that the time is over.
    """

    def __init__(
        self,
        cap: FrameRateCap | None = None,
        gate: MotionGate | None = None,
        *,
        until: float = math.inf,
    ) -> None:
        self._cap = cap
        self._gate = gate
        self._until = until
        self._last = -math.inf

    @property
    def longest_step(self) -> float:
        """Seconds of the source between two frames that are processed, at most."""
        step = 0.0 if self._cap is None else self._cap.period
        # A heartbeat waits for the frame that the cap takes next.
        return step if self._gate is None else step + HEARTBEAT

    def skips(self, frame: Frame) -> str:
        """The reason of the ``Gap`` in which the next frame is counted; empty to process it."""
        takes = self._cap is None or self._cap.takes(frame)
        if frame.time >= self._until:
            return ""
        if self._gate is not None:
            still, now = self._gate.is_still(frame), self._gate.now
            if still and (now - self._last < HEARTBEAT * (1 - _TIE) or not takes):
                return "still"
            if takes:
                self._last = now
        return "" if takes else "fps"
