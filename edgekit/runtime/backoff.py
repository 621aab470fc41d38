"""Waits between tries that fail."""

from __future__ import annotations

import random

__all__ = ["Backoff"]

_FIRST = 0.5
_LONGEST = 30.0


class Backoff:
    """Waits that grow from 0.5 to 30 seconds while what is tried again keeps failing.

    Attributes:
        seconds: How long to wait before the next try.
    """

    def __init__(self) -> None:
        self.seconds = _FIRST

    def grow(self) -> None:
        """A try has failed: the next wait is twice as long, up to the longest."""
        self.seconds = min(2 * self.seconds, _LONGEST)

    def lasted(self, seconds: float) -> bool:
        """What was tried again went well for so long: starts anew if that is more than the wait.

        What fails again at once, as a broker that hangs up at the first message, is no success.

        Returns:
            Whether it started anew.
        """
        if seconds <= self.seconds:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """The next failure is a first one."""
        self.seconds = _FIRST

    def scattered(self) -> float:
        """About ``seconds``: what was lost together is not to come back together."""
        return self.seconds * random.uniform(0.8, 1.2)
