"""The time of a processed frame, and the limits that EdgeKit's linker derives from it."""

from __future__ import annotations

import math
from typing import NamedTuple

from edgekit.linking.tracks.matching import TOO_STRONG

__all__ = ["Look"]

_UNSURE_MISSES = 5
_LOOKS = 8
"""Processed frames without a detection after which a track ends, however far apart they are.

They also are the smallest number of detections from which a live score is computed.
"""

_MEMORY = 25.0
"""Time over which a live score is a mean, in frames at 25 per second."""


class Look(NamedTuple):
    """The time of a processed frame.

    Attributes:
        frame: Index of the frame in the source.
        passed: Number of source frames since the previous processed frame.
        elapsed: Time since the previous processed frame, in frames at 25 per second.
        usual: Typical time between two processed frames, from this and the last interval.
        forgotten: Whether weak tracks have ended because the source had a pause without motion.
    """

    frame: int = 0
    passed: int = 1
    elapsed: float = 1.0
    usual: float = 1.0
    forgotten: bool = False

    def allowed(self, most: float) -> tuple[float, float]:
        """Returns how long tracks may be lost: those with few detections, and the others."""
        longest = max(float(most), min(_LOOKS, most) * self.usual)
        # Few detections are weak evidence, and so are few misses: both count processed frames.
        return min(_UNSURE_MISSES * max(1.0, self.usual), longest), longest

    def remembered(self) -> float:
        """Returns the number of detections that make a live score; it need not be whole."""
        return max(float(_LOOKS), _MEMORY / self.elapsed)

    def outshines(self) -> float:
        """Returns the ratio of scores above which a paired detection does not suppress another."""
        # Otherwise weak tracks of most classes exist, and one of them takes the strong detection.
        return TOO_STRONG if self.elapsed > 1 or self.forgotten else math.inf
