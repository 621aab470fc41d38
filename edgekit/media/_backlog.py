"""The calls that wait for a sink."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from edgekit.runtime.results import FrameResult

__all__ = ["COUNTED", "Backlog", "Call"]

COUNTED = ("gap", "frame", "tube")
"""Kinds of calls whose loss is a loss."""


class Call(NamedTuple):
    """A call of a sink.

    Attributes:
        kind: Name of the method.
        value: What it is given.
        lost: How many calls before it, and after the one before, had no room.
    """

    kind: str
    value: Any
    lost: int


class Backlog:
    """Calls in the order in which they come. For one thread at a time.

    Args:
        frames: So many of them may hold a picture.
        pixels: Bytes that these pictures may take, unless it is only one.
        most: So many calls may wait in all; None for any number.
    """

    def __init__(self, frames: int, pixels: int, most: int | None) -> None:
        self._most_frames = frames
        self._most_pixels = pixels
        self._most = most
        self._calls: deque[Call] = deque()
        self._frames = 0
        self._pixels = 0

    def __len__(self) -> int:
        return len(self._calls)

    def has_room_for(self, value: object) -> bool:
        """Whether a call with this value may wait as well."""
        if isinstance(value, FrameResult) and self._frames:
            pixels = self._pixels + value.frame.image.nbytes
            if self._frames >= self._most_frames or pixels > self._most_pixels:
                return False
        return self._most is None or len(self._calls) < self._most

    def put(self, call: Call) -> None:
        """Has it wait, whether there is room or not."""
        self._calls.append(call)
        self._count(call.value, 1)

    def take(self) -> Call:
        """The first one."""
        call = self._calls.popleft()
        self._count(call.value, -1)
        return call

    def clear(self) -> int:
        """Leaves all away; returns how many of them count as lost."""
        lost = sum(call.kind in COUNTED for call in self._calls)
        self._calls.clear()
        self._frames = self._pixels = 0
        return lost

    def _count(self, value: object, by: int) -> None:
        if isinstance(value, FrameResult):
            self._frames += by
            self._pixels += by * value.frame.image.nbytes
