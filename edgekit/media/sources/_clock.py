"""When the frames of a recording are to be shown, and how many there are in a second."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgekit.media._capture import believable_fps

__all__ = ["FrameClock", "checked_fps", "rate_or_none"]

_JUMP = 1.0
"""A step back by more seconds begins another recording, as where files were joined."""

_DOUBT = 1.7
"""A unit of time is many times finer than the frames; their mean rate is not that far off."""


_HIGHEST_UNCHECKED = 240


class FrameClock:
    """The time of each frame, from the first one on; it never stands still or goes back.

    Args:
        fps: Frames a second, where the recording does not say when a frame is shown.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1 / fps
        self._begin: float | None = None
        self._last: float | None = None

    @property
    def last(self) -> float:
        """Seconds of the last frame; 0 before the first."""
        return self._last or 0.0

    def seconds(self, shown: float | None) -> float:
        """Seconds since the first frame.

        Args:
            shown: When the recording says that the frame is shown; None where it does not.
        """
        if shown is not None and not math.isfinite(shown):
            shown = None
        if self._last is None:
            self._begin = shown
            self._last = 0.0
            return 0.0
        following = self._last + self._step
        if shown is None:
            seconds = following
        elif self._begin is None:
            self._begin = shown - following
            seconds = following
        else:
            seconds = shown - self._begin
            if seconds < self._last - _JUMP:
                self._begin = shown - following
            if seconds <= self._last:
                seconds = following
        self._last = seconds
        return seconds


def checked_fps(declared: float, times: Sequence[float]) -> float:
    """Frames a second: as declared, where that is a rate of the frames and no unit of time.

    Args:
        declared: Frames a second that the recording declares, or that FFmpeg guesses.
        times: Seconds at which the first frames are shown, in any order; may be empty.
    """
    found = _rate(times)
    is_rate = not found or 0 < declared <= _DOUBT * found
    return believable_fps(declared if is_rate else found)


def rate_or_none(declared: float, tick: float) -> float:
    """A declared rate that cannot be checked; 0 where it rather is the container's unit of time.

    Args:
        declared: Frames a second.
        tick: The unit of time, in seconds.
    """
    return 0.0 if declared > _HIGHEST_UNCHECKED and declared * tick > 0.999 else declared


def _rate(times: Sequence[float]) -> float:
    if len(times) < 3:
        return 0.0
    span = max(times) - min(times)
    return (len(times) - 1) / span if span > 0 else 0.0
