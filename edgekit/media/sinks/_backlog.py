"""A queue of calls that wait for a sink."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from edgekit.pipeline.results import FrameResult

__all__ = ["COUNTED", "Backlog", "SinkCall"]

COUNTED = ("gap", "frame", "tube")
"""Kinds of calls that count as lost when they are dropped."""


class SinkCall(NamedTuple):
    """A call to a sink.

    Attributes:
        kind: Name of the method.
        value: Argument of the call.
        lost: Number of calls dropped for lack of room between the previous call and this one.
    """

    kind: str
    value: Any
    lost: int


class Backlog:
    """A first-in, first-out queue of calls. It is not safe for several threads at once.

    Args:
        frames: Largest number of waiting calls that hold a picture.
        pixels: Largest number of bytes of these pictures; a single picture may exceed it.
        most: Largest number of waiting calls; None for no limit.
    """

    def __init__(self, frames: int, pixels: int, most: int | None) -> None:
        self._most_frames = frames
        self._most_pixels = pixels
        self._most = most
        self._calls: deque[SinkCall] = deque()
        self._frames = 0
        self._pixels = 0

    def __len__(self) -> int:
        return len(self._calls)

    def has_room_for(self, value: object) -> bool:
        """Returns whether one more call with this value fits."""
        if isinstance(value, FrameResult) and self._frames:
            pixels = self._pixels + value.frame.image.nbytes
            if self._frames >= self._most_frames or pixels > self._most_pixels:
                return False
        return self._most is None or len(self._calls) < self._most

    def put(self, call: SinkCall) -> None:
        """Appends a call, whether there is room or not."""
        self._calls.append(call)
        self._count(call.value, 1)

    def take(self) -> SinkCall:
        """Removes and returns the oldest call."""
        call = self._calls.popleft()
        self._count(call.value, -1)
        return call

    def clear(self) -> int:
        """Removes all calls, and returns how many of them count as lost."""
        lost = sum(call.kind in COUNTED for call in self._calls)
        self._calls.clear()
        self._frames = self._pixels = 0
        return lost

    def _count(self, value: object, by: int) -> None:
        if isinstance(value, FrameResult):
            self._frames += by
            self._pixels += by * value.frame.image.nbytes
