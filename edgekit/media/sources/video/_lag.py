"""Measures how far reading lags behind a live stream."""

from __future__ import annotations

__all__ = ["Lag"]

_DRIFT = 2e-4
"""Largest drift between the clocks of a camera and this machine, in seconds per second."""


class Lag:
    """Compares picture times with the clock; the smallest delay seen counts as no lag.

    The lag shows in no other way: FFmpeg and the network return buffered pictures immediately,
    whether these are a millisecond or a minute old.

    Attributes:
        seconds: Lag of the last picture in seconds; 0 before the first.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self.seconds = 0.0
        self._shown = self._now = 0.0
        self._taken = float("-inf")

    def of(self, seconds: float | None, now: float) -> float:
        """Returns the lag of the next picture, in seconds, 0 or more.

        Args:
            seconds: Stream time of the picture in seconds; None if unknown. The lag is then that of
                the previous picture.
            now: Time of arrival in seconds, on the monotonic clock.
        """
        if seconds is not None:
            self._measure(seconds, now)
        self._taken = now - self.seconds
        return self.seconds

    def behind(self, seconds: float, now: float) -> float:
        """Returns what ``of`` would return for a picture, without recording it."""
        return 0.0 if self._least is None else max(0.0, now - seconds - self._least)

    def clear(self) -> None:
        """Resets the lag to 0, because the next picture has just arrived."""
        self._least, self.seconds = None, 0.0

    def _measure(self, seconds: float, now: float) -> None:
        offset, least = now - seconds, self._least
        if least is not None:
            least = min(offset, least + _DRIFT * (now - self._now))
        if least is None or seconds <= self._shown or now - (offset - least) <= self._taken:
            # The stream's clock has restarted, or the time of the picture before was unknown: the
            # lag from before still holds.
            least = offset - self.seconds
        self._least, self._shown, self._now = least, seconds, now
        self.seconds = offset - least
