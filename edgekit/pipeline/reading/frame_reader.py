"""Reads recordings: every frame, in the pipeline's own thread. Defines the protocol of readers."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol

from edgekit.pipeline.protocols import FrameSource, read_frame
from edgekit.pipeline.reading.sampling import Sampling
from edgekit.pipeline.results import SourceHealth
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.source_clock import SourceClock
from edgekit.runtime.types import Frame

__all__ = ["DirectReader", "FrameReader", "Pace", "PairedFrame", "paired_again"]


class PairedFrame(NamedTuple):
    """A frame to process.

    Attributes:
        frame: Frame from the source, with its earlier picture.
        read: Time at which it was captured, or read if unknown, in seconds of ``time.monotonic``.
        skipped: Number of frames before it that were left out on purpose, by reason.
    """

    frame: Frame
    read: float
    skipped: Mapping[str, int] = {}


def paired_again(frame: Frame, recent: RecentFrames | None) -> Frame:
    """Returns a frame with the earlier picture that ``recent`` has for it; None for no picture."""
    frame = replace(frame, earlier=None)
    return frame if recent is None else recent.add(frame)


class FrameReader(Protocol):
    """Gives the pipeline its frames."""

    @property
    def position(self) -> int:
        """Index of the next frame."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """Number of frames left out on purpose since the last one that was read, by reason."""

    @property
    def away(self) -> str | None:
        """Reason why the source gave nothing when the run ended; None if it did."""

    def next(self) -> PairedFrame | None:
        """Returns the next frame; None at the end, or once the run is to stop."""

    def pair_by(self, recent: RecentFrames | None, newest: Frame) -> Frame:
        """Pairs frames by another object from the newest one on, for another detector.

        Args:
            recent: New object that pairs each frame with an earlier one; None for no pairs.
            newest: Newest frame that ``next`` has returned.

        Returns:
            The newest frame, paired by that object.
        """

    def health(self) -> SourceHealth:
        """Returns the state of the source; may be called from any thread."""

    def close(self) -> None:
        """Ends all background work."""


class Pace:
    """Delays frames until their own time has come.

    A frame whose time jumps by more than a minute comes one usual step after the one before it,
    unless the source is that slow.

    Args:
        stop: Event that ends the waiting.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._clock = SourceClock()
        self._due: float | None = None

    def wait_for(self, frame: Frame) -> None:
        """Waits until the time of the frame."""
        now = time.monotonic()
        self._due = (now if self._due is None else self._due) + self._clock.step(frame.time)
        self._stop.wait(max(0.0, self._due - now))


class DirectReader:
    """Reads a frame whenever one is requested.

    Args:
        source: Open source.
        stop: Event that is set when the run is to end.
        realtime: Whether to wait until each frame's own time.
        recent: Object that pairs each frame with an earlier one; None leaves frames unchanged.
        sampling: Selection of the frames to process; None for all.
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
        """Index of the next frame."""
        return self._source.position

    def next(self) -> PairedFrame | None:
        """Returns the next frame; None at the end, or once the run is to stop."""
        while (frame := read_frame(self._source)) is not None:
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
            return PairedFrame(frame, read, skipped)
        return None

    def pair_by(self, recent: RecentFrames | None, newest: Frame) -> Frame:
        """Pairs frames by another object from the newest one on."""
        self._recent = recent
        return paired_again(newest, recent)

    def health(self) -> SourceHealth:
        """Returns that the source is connected, as long as there is no error."""
        return SourceHealth(True, self._since)

    def close(self) -> None:
        """Does nothing: there is no background work."""
