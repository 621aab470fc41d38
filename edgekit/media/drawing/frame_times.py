"""Remembers the times of a run's frames in bounded memory, for an axis of time."""

from __future__ import annotations

import numpy as np

from edgekit.media.sources._frame_clock import FrameClock
from edgekit.runtime.types import Frame

__all__ = ["FrameTimes"]

_MOST = 1024
"""Largest number of remembered times; between them, time is taken as even."""


class FrameTimes:
    """Gives the time of any frame, because a camera may be slower than the rate that it declares.

    Args:
        fps: Frames per second that the source declares, for frames after the last one.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._clock = FrameClock(fps)
        self._last = (0, 0.0)
        self._kept = [self._last]
        self._distance = 1

    def add(self, frame: Frame) -> None:
        """Takes the next frame."""
        self._last = (frame.index, self._clock.seconds(frame.time))
        if frame.index < self._kept[-1][0] + self._distance:
            return
        self._kept.append(self._last)
        if len(self._kept) > _MOST:
            self._kept = self._kept[::2]
            self._distance = self._kept[-1][0] // _MOST + 1

    def at(self, index: float) -> float:
        """Returns the seconds from the first frame of the run to a frame."""
        last, seconds = self._last
        if index >= last:
            return seconds + (index - last) / self._fps
        indices, times = zip(*self._kept, self._last, strict=True)
        return float(np.interp(index, indices, times))
