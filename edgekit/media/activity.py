"""Follows a source during a run: its state, rate, age of frames, and share of processed frames."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from edgekit.pipeline.results import FrameResult, Gap, RunInfo, SourceHealth

__all__ = ["NO_RUN", "SourceActivity"]

_RECENT = 150
_RATE_SECONDS = 5.0
_PATIENCE = 5.0

NO_RUN = RunInfo("", 0, 0, 1.0, None, ())
"""Stands for a run that has not begun."""


class _Moment(NamedTuple):
    """A processed frame: its time, the frames dropped before it, and its age in milliseconds."""

    time: float
    dropped: int
    age: float | None


class SourceActivity:
    """Counts the frames of one source; any thread may ask.

    Args:
        clock: Function that returns seconds, such as ``time.monotonic``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._info: RunInfo | None = None
        self._recent: deque[_Moment] = deque(maxlen=_RECENT)
        self._last = clock()
        self._missed = 0
        self._ended = ""

    def start(self, info: RunInfo) -> None:
        """Registers the start of the run."""
        with self._lock:
            self._info, self._last = info, self._clock()

    def gap(self, gap: Gap) -> None:
        """Counts frames that came too fast."""
        with self._lock:
            self._missed += gap.frames if gap.reason == "dropped" else 0

    def frame(self, result: FrameResult) -> None:
        """Counts a frame."""
        with self._lock:
            self._last = self._clock()
            self._recent.append(_Moment(self._last, self._missed, result.age))
            self._missed = 0

    def end(self, *, failed: bool = False) -> None:
        """Registers the end of the run; only the first call counts.

        Args:
            failed: Whether an error ended it.
        """
        self._ended = self._ended or ("failed" if failed else "ended")

    @property
    def seconds_since_frame(self) -> float:
        """Seconds since the newest frame, or since the start."""
        return self._clock() - self._last

    @property
    def health(self) -> SourceHealth:
        """State of the source."""
        return SourceHealth() if self._info is None else self._info.health()

    @property
    def status(self) -> str:
        """State in a word: ``ok``, ``starting``, ``stalled``, ``lost``, ``ended`` or ``failed``."""
        if self._ended:
            return self._ended
        if not self.health.connected:
            return "lost"
        if self.seconds_since_frame > (self._info or NO_RUN).patience(_PATIENCE):
            return "stalled"
        return "ok" if self._recent else "starting"

    @property
    def rate(self) -> float:
        """Frames per second of the last seconds; for a slow source, of its last two frames."""
        with self._lock:
            times = [moment.time for moment in self._recent]
        now = self._clock()
        newest = [moment for moment in times if moment > now - _RATE_SECONDS]
        times = newest if len(newest) > 1 else times[-2:]
        if len(times) < 2:
            return 0.0
        return (len(times) - 1) / max(times[-1] - times[0], now - times[-1], 1e-6)

    @property
    def age(self) -> float | None:
        """Median age of the newest frames at inference, in milliseconds; None for a file."""
        with self._lock:
            ages = [moment.age for moment in self._recent if moment.age is not None]
        return median(ages) if ages else None

    @property
    def taken(self) -> float | None:
        """Share of the newest frames of the source that were processed; None before the first."""
        with self._lock:
            dropped = sum(moment.dropped for moment in self._recent) + self._missed
            count = len(self._recent)
        return count / (count + dropped) if count else None
