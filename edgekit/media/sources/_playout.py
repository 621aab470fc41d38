"""Schedules the pictures of a live stream in segments, as a player does."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Playout", "wait_until"]

_POLL = 0.1

_FARTHEST = 5.0
"""Largest wait in seconds for a picture; a longer one comes from a jump of the stream's clock."""


class Playout:
    """Gives each picture a time of its own. HLS and DASH bring the pictures of seconds at once.

    A picture is due as long after the one before it as the stream says. If the network brings it
    later than that, it and all later ones are due later.

    Args:
        fps: Frames per second, used where the stream gives no times.

    Attributes:
        seconds: Seconds for which the last picture was due, because reading is too slow.
    """

    def __init__(self, fps: float) -> None:
        self.seconds = 0.0
        self._step = 1 / fps
        self._shown: float | None = None
        self._due: float | None = None

    def due(self, shown: float | None, asked: float, now: float) -> float:
        """Returns the time at which the next picture is due, in seconds on the monotonic clock.

        Args:
            shown: Stream time of the picture in seconds; None if unknown.
            asked: Time at which the picture was asked for, on the monotonic clock.
            now: Time of its arrival, on the monotonic clock.
        """
        due = now
        if self._due is not None:
            step = 0.0
            if shown is not None and self._shown is not None:
                step = shown - self._shown
            due = self._due + (step if step > 0 else self._step)
            if asked <= due < now or due > now + _FARTHEST:
                due = max(now, self._due + self._step)
        self._shown, self._due, self.seconds = shown, due, max(0.0, now - due)
        return due

    def behind(self, seconds: float, now: float) -> float:
        """Returns for how long a picture has been due, without recording it."""
        if self._due is None or self._shown is None:
            return 0.0
        return max(0.0, now - self._due - (seconds - self._shown))

    def clear(self) -> None:
        """Starts a new schedule, because the next picture has just arrived."""
        self._due = None


def wait_until(due: float, closed: Callable[[], bool]) -> None:
    """Waits for a time on the monotonic clock, or until ``closed`` returns True."""
    while (left := due - time.monotonic()) > 0 and not closed():
        time.sleep(min(left, _POLL))
