"""Selects the frames of a source that are processed, for ``--fps`` and the motion gate."""

from __future__ import annotations

import math

from edgekit._checks import check_range
from edgekit._parameters import parameter
from edgekit.pipeline.reading.motion_gate import MotionGate
from edgekit.runtime.source_clock import SourceClock
from edgekit.runtime.types import Frame

__all__ = ["HEARTBEAT", "FrameRateCap", "Sampling"]

HEARTBEAT = 3.0
"""Seconds between two processed frames while nothing moves."""

_TIE = 1e-6
"""Tolerance for rounded times; of two frames that are equally near the earlier one is taken."""


class FrameRateCap:
    """Takes frames evenly in time, up to a number per second.

    Each due time gets the frame nearest to it. A source that is slower than the limit is taken
    whole.

    Args:
        fps: Largest number of frames per second, finite and above 0.

    Attributes:
        period: Seconds from one frame to the next.

    Raises:
        UsageError: ``fps`` is not a finite number above 0.
    """

    def __init__(self, fps: float) -> None:
        every = f"Leave out {parameter('fps')} to process every frame."
        check_range("fps", fps, 0, above=True, hint=every)
        self.period = 1 / fps
        self._clock = SourceClock()
        self._begun = False
        self._waited = 0.0

    def takes(self, frame: Frame) -> bool:
        """Returns whether to process the next frame of the source.

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
        # After a pause, the frames that were due in it are not taken afterwards.
        self._waited = min(self._waited - self.period, usual / 2)
        return True


class Sampling:
    """Decides for each frame of a source whether it is processed, and if not, why.

    Args:
        cap: Limit of the rate; None for no limit.
        gate: Gate that leaves out frames without motion, except one in ``HEARTBEAT`` seconds.
        until: Time of the source, in seconds, from which every frame is processed, so that the
            reader notices the end of the duration.
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
        """Largest number of source seconds between two processed frames."""
        step = 0.0 if self._cap is None else self._cap.period
        # A heartbeat waits for the next frame that the rate limit takes.
        return step if self._gate is None else step + HEARTBEAT

    def skips(self, frame: Frame) -> str:
        """Returns the reason of the ``Gap`` that counts the next frame; empty to process it."""
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
