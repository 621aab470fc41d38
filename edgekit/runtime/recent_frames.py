"""Finds, for each frame, the picture that the cascade compares it with: by time, not by count."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.runtime.types import Frame

__all__ = ["RecentFrames"]

_MOST_KEPT = 16
"""Enough for 40 ms at 400 frames a second; a source whose times are wrong takes no more memory."""

_SHORTEST_STEP = 1 / 480
"""Shorter ones are no camera's: a time base was taken for a rate, or frames came in a burst."""

_LONGEST_STEP = 60.0
_LONGEST_REPEAT = 0.25
"""Seconds. A camera that gives less than four new pictures a second is rather a still scene."""

_REPEATED = 0.3
"""A repeated picture that was encoded again changes by less than this share of a new one. On
rendered clips as H.264, crf 20 and 28, 99% of the repeats are below 0.30, 99% of the others above
0.34 where some are repeated, and above 0.19 where none is."""

_ENOUGH = 0.75
"""A source has first frames, without a picture before, for this share of the interval."""

_USUAL = 16
_NEW = 4
"""Of so many last changes, one in four is that of a new picture at least."""

_RUNS = 8
"""Of so many last runs of repeats the longest says how many there may be in a row."""

_SAMPLES = 64
"""Rows and columns in which pictures are compared at first."""

_OUTLIERS = 2048
"""One of so many samples may have changed by more than what counts."""


class _Kept(NamedTuple):
    time: float
    image: npt.NDArray[np.uint8]
    earlier: npt.NDArray[np.uint8] | None


class RecentFrames:
    """Remembers the newest pictures of a source and pairs each frame with an earlier one.

    A network that reads a structural-similarity map has learnt motion over a certain time. Its
    earlier picture is the one whose time is nearest to that, at any frame rate, and whether or not
    the pictures between were processed. A picture that the source gives again, as cameras do in the
    dark or to fill up a rate, is compared with what its first appearance was compared with: against
    itself it would show a world without motion.

    Args:
        interval: Seconds between the two pictures, as the model was trained; above 0.

    Attributes:
        reencoded: Whether a picture that was encoded again, and so is not quite the same, counts as
            given again. That is for cameras and streams: files are paired as in the training.
    """

    def __init__(self, interval: float) -> None:
        self.reencoded = False
        self._interval = interval
        self._kept: deque[_Kept] = deque(maxlen=_MOST_KEPT)
        self._clock = self._begin = 0.0
        self._last_time = 0.0
        self._changes: deque[int] = deque(maxlen=_USUAL)
        self._repeats = 0
        self._alike_since = 0.0
        self._runs: deque[int] = deque(maxlen=_RUNS)

    def add(self, frame: Frame) -> Frame:
        """The frame with its earlier picture, and remembers it for those that follow.

        Args:
            frame: The next one that the source gave. Its image must not be written to afterwards.

        Returns:
            The same frame; ``earlier`` is None for the first ones, until one lies far enough
            back, also after a real break: a reconnect, a seek or another size. Lost frames are no
            break.
        """
        kept = self._kept
        if kept and (frame.gap not in ("", "dropped") or frame.image.shape != kept[-1].image.shape):
            self.clear()
        self._tick(frame)
        if not kept:
            self._begin = self._clock
        if kept and self._is_repeated(frame.image):
            newest = kept[-1]
            # Of the very first picture nothing earlier is known: it stands still.
            shown = newest.image if newest.earlier is None else newest.earlier
            return replace(frame, earlier=shown)
        earlier = self._nearest(self._clock - self._interval)
        kept.append(_Kept(self._clock, frame.image, earlier))
        return replace(frame, earlier=earlier)

    def clear(self) -> None:
        """Forgets all pictures: the next one is a first frame."""
        self._kept.clear()
        self._changes.clear()
        self._runs.clear()
        self._repeats = 0

    def _tick(self, frame: Frame) -> None:
        """Follows the frame's time where it can be true, else takes the usual step."""
        step = frame.time - self._last_time
        if not _SHORTEST_STEP <= step <= _LONGEST_STEP:
            step = self._interval
        self._clock += step
        self._last_time = frame.time

    def _nearest(self, time: float) -> npt.NDArray[np.uint8] | None:
        """The picture nearest to a time; those that no later frame will ask for are forgotten."""
        kept = self._kept
        while len(kept) > 1 and abs(kept[1].time - time) <= abs(kept[0].time - time):
            kept.popleft()
        enough = self._clock - self._begin >= _ENOUGH * self._interval
        return kept[0].image if kept and enough else None

    def _is_repeated(self, image: npt.NDArray[np.uint8]) -> bool:
        newest = self._kept[-1]
        before, now = _samples(newest.image), _samples(image)
        same = np.array_equal(before, now) and np.array_equal(newest.image, image)
        if self.reencoded and not same:
            same = self._is_encoded_again(_change(before, now))
        return same and self._clock - newest.time <= _LONGEST_REPEAT

    def _is_encoded_again(self, change: int) -> bool:
        changes = self._changes
        small = (
            len(changes) >= _NEW and change < _REPEATED * sorted(changes)[-(len(changes) // _NEW)]
        )
        # Those of repeated pictures too: else calm after a storm would be taken for repeats.
        changes.append(change)
        if small:
            self._alike_since = self._clock if self._repeats == 0 else self._alike_since
            self._repeats += 1
            # Where motion ends, pictures change as little; only that they go on tells them apart.
            return self._repeats <= max(self._runs, default=1)
        if self._repeats and self._clock - self._alike_since <= _LONGEST_REPEAT:
            self._runs.append(self._repeats)
        self._repeats = 0
        return False


def _samples(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pixels spread over a picture."""
    rows, columns = (-(-side // _SAMPLES) for side in image.shape[:2])
    return image[::rows, ::columns]


def _change(before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]) -> int:
    """By how many levels samples changed where they changed most.

    What moves changes few samples by much; an encoder that refines a picture, many by little.
    """
    changes = (np.maximum(before, now) - np.minimum(before, now)).ravel()
    place = len(changes) - 1 - len(changes) // _OUTLIERS
    return int(np.partition(changes, place)[place])
