"""Continues the frame numbers of a source after a reconnect, as if it were one stream."""

from __future__ import annotations

from dataclasses import replace

from edgekit.runtime.types import Frame

__all__ = ["Continuation"]


class Continuation:
    """Continues index and time of the frames of one connection in those of the next.

    Args:
        read: Time at which reading began, in seconds on the monotonic clock.

    Attributes:
        index: Index of the last frame; -1 before the first.
        time: Time of the last frame in the stream, in seconds.
        read: Time at which the last frame was read, in seconds on the monotonic clock.
        index_shift: Number to add to the indices of the current connection.
    """

    def __init__(self, read: float) -> None:
        self.index, self.time, self.read = -1, 0.0, read
        self.index_shift = 0
        self._time_shift = 0.0

    def begin(self, first: Frame, read: float, fps: float) -> None:
        """Begins with the first frame of a new connection, before ``add`` is called with it.

        Leaves out the indices of the frames that were lost meanwhile, by the clock and ``fps``.
        """
        gone = read - self.read
        lost = max(0, round(gone * fps) - 1)
        self.index_shift = self.index + 1 + lost - first.index
        self._time_shift = self.time + gone - first.time

    def add(self, frame: Frame, read: float) -> Frame:
        """Returns a frame of the current connection with its index and time in the stream."""
        if self.index_shift or self._time_shift:
            index, seconds = frame.index + self.index_shift, frame.time + self._time_shift
            frame = replace(frame, index=index, time=seconds)
        self.index, self.time, self.read = frame.index, frame.time, read
        return frame
