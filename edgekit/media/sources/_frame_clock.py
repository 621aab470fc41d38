"""Determines the times of a recording's frames, and its frame rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgekit.media.sources.opencv.capture import believable_fps

__all__ = ["FrameClock", "checked_fps", "is_bare", "rate_or_none"]

_JUMP = 1.0
"""Step back in seconds above which a new recording begins, as in joined files."""

_DOUBT = 1.7
"""Largest plausible ratio of declared to measured rate; time units are far finer."""


_HIGHEST_UNCHECKED = 240
_BARE_TICK = 1 / 1_200_000


class FrameClock:
    """Gives the time of each frame since the first one; times always increase.

    Args:
        fps: Frames per second, used where the recording gives no times.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1 / fps
        self._begin: float | None = None
        self._last: float | None = None

    @property
    def last(self) -> float:
        """Time of the last frame in seconds; 0 before the first."""
        return self._last or 0.0

    def seconds(self, shown: float | None) -> float:
        """Returns the seconds since the first frame.

        Args:
            shown: Presentation time in the recording, in seconds; None if there is none.
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
    """Returns the declared frame rate, unless the frame times show that it is a time unit.

    Args:
        declared: Frames per second that the recording declares or FFmpeg guesses.
        times: Presentation times of the first frames in seconds, in any order; may be empty.
    """
    found = _rate(times)
    is_rate = not found or 0 < declared <= _DOUBT * found
    return believable_fps(declared if is_rate else found)


def rate_or_none(declared: float, tick: float) -> float:
    """Returns a declared rate, or 0 if it is probably the container's time unit.

    Args:
        declared: Declared frames per second, which cannot be checked.
        tick: Time unit of the container, in seconds.
    """
    return 0.0 if declared > _HIGHEST_UNCHECKED and declared * tick > 0.999 else declared


def is_bare(tick: float) -> bool:
    """Returns whether a time unit is FFmpeg's for video without a container, such as ``.h264``.

    The average rate of such a file is 25 in FFmpeg 8, whatever its codec declares.
    """
    return abs(tick - _BARE_TICK) < 1e-12


def _rate(times: Sequence[float]) -> float:
    if len(times) < 3:
        return 0.0
    span = max(times) - min(times)
    return (len(times) - 1) / span if span > 0 else 0.0
