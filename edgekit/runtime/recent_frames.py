"""Finds for each frame the picture that the cascade compares it with, by time."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.runtime.types import Frame

__all__ = ["RecentFrames"]

_MOST_KEPT = 16
"""Largest number of kept pictures, which bounds the memory: 40 ms at 400 frames per second.

If an interval has more frames, the kept ones are spread over it."""

_SHORTEST_STEP, _LONGEST_STEP = 1 / 480, 60.0
"""Valid steps in seconds, unless the source declares such a rate. Others come from wrong time
bases, bursts or jumps."""

_LONGEST_REPEAT = 0.25
"""Longest repeat, in seconds; with fewer than four new pictures per second the scene is still."""

_REPEATED = 0.3
"""Share of a new picture's change below which a picture is a repeated one, encoded again.

On rendered clips as H.264, crf 20 and 28, 99% of the repeats are below 0.30. 99% of the other
pictures are above 0.34 if some pictures are repeated, and above 0.19 if none is."""

_ENOUGH = 0.75
"""Share of the interval after which a frame is compared; earlier frames are first frames."""

_USUAL = 16
_NEW = 4
"""One in this many recent changes is assumed to be that of a new picture."""

_RUNS = 8
"""Number of recent runs of repeats, the longest of which limits the length of a run."""

_SAMPLES = 64
"""Number of rows and of columns that are compared first."""

_OUTLIERS = 2048
"""One in this many samples may change by more than the measured change."""


class _KeptFrame(NamedTuple):
    time: float
    shape: tuple[float, ...]
    image: npt.NDArray[np.uint8]
    samples: npt.NDArray[np.uint8]
    earlier: npt.NDArray[np.uint8] | None


# Many attributes: the pictures, and what is known of the source's times and of its repeats.
class RecentFrames:
    """Remembers the newest pictures of a source and pairs each frame with an earlier one.

    A network with an SSIM map has learnt motion over a certain time. The earlier picture is the one
    whose distance is nearest to that time, at any frame rate. The pictures in between need not be
    processed. Cameras repeat pictures in the dark or to reach a frame rate. A repeated picture is
    compared with the earlier picture of its first appearance: compared with itself it would show no
    motion.

    Args:
        interval: Seconds between the two pictures in the model's training; above 0.

    Attributes:
        interval: Seconds between the two pictures in the model's training.
        reencoded: Whether a picture that was encoded again, and so differs slightly, counts as
            repeated. This is for cameras and streams: files are paired as in the training.
    """

    def __init__(self, interval: float) -> None:
        self.reencoded = False
        self.interval = interval
        self._shortest, self._longest = _SHORTEST_STEP, _LONGEST_STEP
        self._kept: deque[_KeptFrame] = deque()
        self._clock = self._begin = 0.0
        self._last_time = 0.0
        self._changes: deque[int] = deque(maxlen=_USUAL)
        self._repeats = 0
        self._alike_since = 0.0
        self._runs: deque[int] = deque(maxlen=_RUNS)

    def expect(self, fps: float) -> None:
        """Takes the times of a source that declares this many frames per second for true."""
        self._shortest = min(_SHORTEST_STEP, 0.5 / fps)
        self._longest = max(_LONGEST_STEP, 2 / fps)

    def add(self, frame: Frame) -> Frame:
        """Returns the frame with its earlier picture, and remembers it for later frames.

        Args:
            frame: Next frame of the source. Its image must not be modified afterwards.

        Returns:
            The frame. ``earlier`` is None for the first frames, until a picture is old enough. This
            also applies after a real break: a reconnect, a seek, or another size or shape of the
            pixels. Lost frames are not a break.
        """
        kept = self._kept
        if kept and (frame.gap not in ("", "dropped") or _shape(frame) != kept[-1].shape):
            self.clear()
        self._tick(frame)
        if not kept:
            self._begin = self._clock
        samples = _samples(frame.image)
        if kept and self._is_repeated(frame.image, samples):
            newest = kept[-1]
            # Nothing precedes the very first picture, so its repeats are compared with itself.
            shown = newest.image if newest.earlier is None else newest.earlier
            return replace(frame, earlier=shown)
        earlier = self._nearest(self._clock - self.interval)
        self._make_room()
        kept.append(_KeptFrame(self._clock, _shape(frame), frame.image, samples, earlier))
        return replace(frame, earlier=earlier)

    def clear(self) -> None:
        """Forgets all pictures: the next one is a first frame."""
        self._kept.clear()
        self._changes.clear()
        self._runs.clear()
        self._repeats = 0

    def _tick(self, frame: Frame) -> None:
        """Advances by the frame's time if it is plausible, otherwise by the usual step."""
        step = frame.time - self._last_time
        if not self._shortest <= step <= self._longest:
            step = self.interval
        self._clock += step
        self._last_time = frame.time

    def _nearest(self, time: float) -> npt.NDArray[np.uint8] | None:
        """Returns the picture nearest to a time; forgets those that no later frame needs."""
        self._forget_before(time)
        enough = self._clock - self._begin >= _ENOUGH * self.interval
        return self._kept[0].image if self._kept and enough else None

    def _forget_before(self, time: float) -> None:
        """Forgets the pictures before the one nearest to a time."""
        kept = self._kept
        while len(kept) > 1 and abs(kept[1].time - time) <= abs(kept[0].time - time):
            kept.popleft()

    def _make_room(self) -> None:
        """Forgets a picture if there is no room for another one."""
        kept = self._kept
        if len(kept) == _MOST_KEPT:
            step = self._clock - kept[-1].time
            self._forget_before(self._clock + step - self.interval)
        if len(kept) == _MOST_KEPT:
            # The one whose neighbours are nearest to each other, so that no gap becomes long.
            places = range(1, _MOST_KEPT - 1)
            del kept[min(places, key=lambda place: kept[place + 1].time - kept[place - 1].time)]

    def _is_repeated(self, image: npt.NDArray[np.uint8], samples: npt.NDArray[np.uint8]) -> bool:
        newest = self._kept[-1]
        same = np.array_equal(newest.samples, samples) and np.array_equal(newest.image, image)
        if self.reencoded and not same:
            same = self._is_encoded_again(_change(newest.samples, samples))
        return same and self._clock - newest.time <= _LONGEST_REPEAT

    def _is_encoded_again(self, change: int) -> bool:
        changes = self._changes
        small = (
            len(changes) >= _NEW and change < _REPEATED * sorted(changes)[-(len(changes) // _NEW)]
        )
        # Includes repeats: otherwise a calm scene after strong motion would look repeated.
        changes.append(change)
        if small:
            self._alike_since = self._clock if self._repeats == 0 else self._alike_since
            self._repeats += 1
            # When motion ends, changes are as small, but such a run lasts longer than repeats do.
            return self._repeats <= max(self._runs, default=1)
        if self._repeats and self._clock - self._alike_since <= _LONGEST_REPEAT:
            self._runs.append(self._repeats)
        self._repeats = 0
        return False


def _shape(frame: Frame) -> tuple[float, ...]:
    return *frame.image.shape, frame.sample_aspect


def _samples(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns pixels spread over a picture, copied because comparing spread ones takes longer."""
    rows, columns = (-(-side // _SAMPLES) for side in image.shape[:2])
    return image[::rows, ::columns].copy()


def _change(before: npt.NDArray[np.uint8], now: npt.NDArray[np.uint8]) -> int:
    """Returns the change of the samples that changed most, in levels.

    Motion changes few samples by much; an encoder that refines a picture changes many by little.
    """
    changes = (np.maximum(before, now) - np.minimum(before, now)).ravel()
    place = len(changes) - 1 - len(changes) // _OUTLIERS
    return int(np.partition(changes, place)[place])
