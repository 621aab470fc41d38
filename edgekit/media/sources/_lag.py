"""How far behind its source a live stream is read."""

from __future__ import annotations

__all__ = ["Lag"]

_DRIFT = 2e-4
"""Seconds a second by which the clocks of a camera and of this machine may differ."""


class Lag:
    """Compares the times of a stream's pictures with the clock: the least delay seen is no lag.

    That is the only way to see it. What FFmpeg and the network hold back is there at once when it
    is asked for, whether it is a millisecond or a minute old.

    Attributes:
        seconds: The lag of the last picture; 0 before the first.
    """

    def __init__(self) -> None:
        self._least: float | None = None
        self.seconds = 0.0
        self._shown = self._now = 0.0

    def of(self, seconds: float | None, now: float) -> float:
        """The lag of the next picture.

        Args:
            seconds: Its time by the stream; None where that is unknown.
            now: When it came, on the monotonic clock.

        Returns:
            Seconds, 0 or more.
        """
        if seconds is None:
            return self.seconds
        offset = now - seconds
        if self._least is None or seconds <= self._shown:
            # The stream's clock began anew: what it was behind before it still is.
            self._least = offset - self.seconds
        self._least = min(offset, self._least + _DRIFT * (now - self._now))
        self._shown, self._now = seconds, now
        self.seconds = offset - self._least
        return self.seconds

    def behind(self, seconds: float, now: float) -> float:
        """What ``of`` would say of a picture, which is not looked at."""
        return 0.0 if self._least is None else max(0.0, now - seconds - self._least)

    def clear(self) -> None:
        """The next picture has just come: it has no lag."""
        self._least, self.seconds = None, 0.0
