"""Queues of calls that wait for a sink."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, NamedTuple

from edgekit.pipeline.results import FrameResult

__all__ = ["COUNTED", "Backlog", "CallQueue", "SinkCall"]

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
        frames: Largest number of waiting frames.
        pixels: Largest number of bytes of their pictures; a single picture may exceed it.
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


class CallQueue:
    """Passes calls from the thread of a run to the thread of a sink.

    ``take`` locks by itself; the caller of everything else holds the lock of ``changed``.

    Args:
        backlog: Empty backlog, which holds the waiting calls.

    Attributes:
        changed: Lock of both threads, notified after each change.
        backlog: Waiting calls.
        present: Kind of the call that the sink is handling; empty if there is none.
        since: Time at which that call began, in seconds of ``time.monotonic``.
        closing: Whether the call ``close`` is among the waiting ones, or was the last.
        over: Whether the sink gets no further call.
        failure: Error of the sink that the run has yet to raise.
    """

    def __init__(self, backlog: Backlog) -> None:
        self.changed = threading.Condition()
        self.backlog = backlog
        self.present = ""
        self.since = 0.0
        self.closing = False
        self.over = False
        self.failure: Exception | None = None
        self._dropped = 0

    def put(self, kind: str, value: Any) -> None:
        """Appends a call, whether there is room or not; does nothing if the queue is over."""
        if not self.over:
            self.backlog.put(SinkCall(kind, value, self._dropped))
            self._dropped = 0
            self.changed.notify_all()

    def drop(self) -> None:
        """Counts a call that is not put; the next one carries the number."""
        self._dropped += 1

    def take(self, seconds: float | None = None) -> SinkCall | None:
        """Waits for the next call and removes it; returns None if the queue is over.

        Args:
            seconds: Seconds without a call after which the call ``idle`` is returned; None waits.
        """
        with self.changed:
            self.present = ""
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.backlog or self.over, seconds)
            if self.over:
                return None
            call = self.backlog.take() if self.backlog else SinkCall("idle", None, 0)
            self.present, self.since = call.kind, time.monotonic()
            return call

    def raise_failure(self) -> None:
        """Raises the sink's error, once."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def finish(self) -> int:
        """Ends the queue, and returns how many of the waiting calls are lost."""
        self.over = True
        self.changed.notify_all()
        return self.backlog.clear()
