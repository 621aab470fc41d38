"""How frames get from a source into the pipeline one by one, so that none is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.results import SourceHealth
from edgekit.runtime.sampling import Sampling
from edgekit.runtime.seams import FrameSource
from edgekit.runtime.types import Frame

__all__ = ["DirectFeed", "Fed", "Feed", "Pace"]


class Fed(NamedTuple):
    """A frame that is to be processed.

    Attributes:
        frame: As the source gave it, with its earlier picture.
        read: When it was taken or else read, in seconds of ``time.monotonic``.
        skipped: How many frames before it were left out on purpose, by reason.
    """

    frame: Frame
    read: float
    skipped: Mapping[str, int] = {}


class Feed(Protocol):
    """Gives the pipeline its frames."""

    @property
    def position(self) -> int:
        """Index that the next frame would have."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many frames were left out on purpose since the last one that was read."""

    @property
    def away(self) -> str | None:
        """Why the source gave nothing when the run ended; None where it did."""

    def next(self) -> Fed | None:
        """The next frame; None at the end, or once the run is to stop."""

    def health(self) -> SourceHealth:
        """How the source does; may be called from any thread."""

    def close(self) -> None:
        """Ends what runs in the background."""


class Pace:
    """Holds frames back until their own time has come.

    Args:
        stop: Ends the waiting.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._begin: float | None = None

    def wait_for(self, frame: Frame) -> None:
        """Waits until it is time for the frame."""
        now = time.monotonic()
        if self._begin is None:
            self._begin = now - frame.time
        self._stop.wait(max(0.0, self._begin + frame.time - now))


class DirectFeed:
    """Reads a frame whenever one is asked for.

    Args:
        source: Open.
        stop: Set when the run is to end.
        realtime: Not before each frame's own time.
        recent: Pairs each frame with an earlier one; None leaves them as the source gives them.
        sampling: Which frames are processed; None for all.
    """

    def __init__(
        self,
        source: FrameSource,
        stop: threading.Event,
        *,
        realtime: bool = False,
        recent: RecentFrames | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        self._source = source
        self.away: str | None = None
        self._recent = recent
        self._stop = stop
        self._pace = Pace(stop) if realtime else None
        self._since = time.monotonic()
        self._sampling = sampling
        self.skipped: Counter[str] = Counter()

    @property
    def position(self) -> int:
        """Index that the next frame would have."""
        return self._source.position

    def next(self) -> Fed | None:
        """The next frame; None at the end, or once the run is to stop."""
        while (frame := self._source.read()) is not None:
            read = time.monotonic() if frame.taken is None else frame.taken
            if self._pace is not None:
                self._pace.wait_for(frame)
            if self._stop.is_set():
                break
            if self._recent is not None:
                frame = self._recent.add(frame)
            if self._sampling is not None and (reason := self._sampling.skips(frame)):
                self.skipped[reason] += 1
                continue
            skipped, self.skipped = self.skipped, Counter()
            return Fed(frame, read, skipped)
        return None

    def health(self) -> SourceHealth:
        """Connected, as long as there is no error."""
        return SourceHealth(True, self._since)

    def close(self) -> None:
        """Nothing runs in the background."""
