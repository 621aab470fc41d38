"""Gives the times of a live stream's pictures, and catches up when reading lags behind."""

from __future__ import annotations

import logging
import time

from edgekit.media.sources._playout import Playout
from edgekit.media.sources.video._connection import Connection
from edgekit.media.sources.video._lag import Lag

__all__ = ["LiveTiming"]

_LOG = logging.getLogger(__name__)

_LATE = 0.2
_TOO_LATE = 2.0
_NEXT_TRY = 2.0
"""Lag in seconds at which catching up stops, lag above which it starts, and seconds until the next
attempt."""


class LiveTiming:
    """Measures the time since a stream was opened, and how far reading lags behind it.

    Args:
        connection: Open connection to a live stream.
        name: Name of the source, for messages.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._lag = Lag()
        self._playout = Playout(connection.fps) if connection.segmented else None
        self._began = self._caught_up = time.monotonic()
        self._has_warned = False

    def times(self, shown: float | None, asked: float) -> tuple[float, float | None]:
        """Returns the seconds since the start, and the monotonic time when a picture was taken.

        Both are of the moment when the picture was taken, not of its arrival. Buffered pictures
        therefore keep their distance in time. Both always increase. A picture of a stream in
        segments counts as taken when it is to be shown, which may be later than now.

        Args:
            shown: Time of the picture in the stream, in seconds; None if unknown. If the source
                gives no times, the first result is that of the arrival, and the second is None.
            asked: Time at which the picture was asked for, in seconds on the monotonic clock.
        """
        now = time.monotonic()
        if self._playout is not None:
            due = self._playout.due(shown, asked, now)
            return due - self._began, due
        if not self._connection.timed:
            return now - self._began, None
        taken = now - self._lag.of(shown, now)
        return taken - self._began, taken

    def catch_up(self) -> int:
        """Skips pictures if reading lags too far behind; returns their number.

        Raises:
            Unreadable: The connection broke, or nothing arrived in time.
        """
        lag = self._playout or self._lag
        now, behind = time.monotonic(), lag.seconds
        if behind <= _TOO_LATE or now <= self._caught_up + _NEXT_TRY:
            return 0
        self._caught_up = now
        left_out, emptied = self._connection.catch_up(self._is_late)
        if emptied:
            lag.clear()
        if left_out:
            level = logging.INFO if self._has_warned else logging.WARNING
            self._has_warned = True
            _LOG.log(
                level,
                "%s was %.1f seconds behind, so EdgeKit skipped %d pictures to catch up. "
                "The source paused, or it sends more pictures than this machine can decode.",
                self._name,
                behind,
                left_out,
            )
        return left_out

    def _is_late(self, seconds: float) -> bool:
        return (self._playout or self._lag).behind(seconds, time.monotonic()) > _LATE
