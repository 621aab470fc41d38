"""Computes growing waiting times between failing attempts."""

from __future__ import annotations

import random

__all__ = ["Backoff"]

_FIRST = 0.5
_LONGEST = 30.0


class Backoff:
    """Waiting times that grow from 0.5 to 30 seconds while attempts keep failing.

    Attributes:
        seconds: Time to wait before the next attempt.
    """

    def __init__(self) -> None:
        self.seconds = _FIRST

    def grow(self) -> None:
        """Records a failure: the next wait is twice as long, up to the limit."""
        self.seconds = min(2 * self.seconds, _LONGEST)

    def lasted(self, seconds: float) -> bool:
        """Records a success of this duration; resets if it lasted longer than the wait.

        An immediate failure, such as a broker that disconnects at the first message, is not a
        success.

        Returns:
            Whether the wait was reset.
        """
        if seconds <= self.seconds:
            return False
        self.reset()
        return True

    def reset(self) -> None:
        """Resets the wait, as if nothing had failed."""
        self.seconds = _FIRST

    def scattered(self) -> float:
        """Returns about ``seconds``: clients that failed together retry at different times."""
        return self.seconds * random.uniform(0.8, 1.2)
