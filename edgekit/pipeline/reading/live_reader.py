"""Reads live sources: chooses frames, and decides when a source failed and is to reconnect."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from edgekit.pipeline.options import PipelineOptions
from edgekit.pipeline.protocols import FrameSource
from edgekit.pipeline.reading._continuation import Continuation
from edgekit.pipeline.reading._reader_thread import ReaderThread
from edgekit.pipeline.reading.frame_reader import (
    DirectReader,
    FrameReader,
    Pace,
    PairedFrame,
    paired_again,
)
from edgekit.pipeline.reading.sampling import Sampling
from edgekit.pipeline.results import SourceHealth
from edgekit.runtime.recent_frames import RecentFrames
from edgekit.runtime.types import Frame
from edgekit.system.backoff import Backoff

__all__ = ["PATIENCE", "LiveReader", "open_reader"]

PATIENCE = 10.0
"""Default number of seconds without a frame after which EdgeKit reconnects a source."""

_LOG = logging.getLogger(__name__)
_POLL = 0.1
_LEAVING = 0.5
_MOST_LEFT = 4


# Many attributes: its arguments, and one state of two threads, under one lock.
class LiveReader:
    """Reads in a thread, and reconnects a source that has failed.

    A source has failed if it gives no frame for too long, raises ``MediaError``, ends, or changes
    the size of its pictures. If it ``reopens``, it is opened again after waits that grow from 0.5
    to 30 seconds, for as long as it takes. The first frame after that has the gap ``reconnect``.
    Its index leaves out the frames that must have been lost, by the clock and the source's declared
    frame rate. A stuck reader is abandoned, and closes its source when it returns. Any other source
    ends when it ends, and its errors are raised after the frames before them.

    Args:
        source: Open source, read only by the thread; it stays open unless it fails.
        stop: Event that is set when the run is to end.
        newest: Whether to keep only the newest frame; otherwise the thread waits until each is
            taken.
        realtime: Whether to wait until each frame's own time.
        patience: Seconds without a frame after which the source has failed.
        duration: Seconds of the source after which to end, even without frames.
        recent: Object that pairs each frame with an earlier one, dropped or not; None leaves frames
            unchanged.
        sampling: Selection of the frames to process; None for all.
        waiting: Function called a few times per second while ``next`` waits for a frame.

    Attributes:
        away: Reason why the source gave nothing when the run ended; None if it did, and until then.
    """

    def __init__(
        self,
        source: FrameSource,
        stop: threading.Event,
        *,
        newest: bool = True,
        realtime: bool = False,
        patience: float = PATIENCE,
        duration: float = float("inf"),
        recent: RecentFrames | None = None,
        sampling: Sampling | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._origin = self._source = source
        self._stop = stop
        self._newest = newest
        self._pace = Pace(stop) if realtime else None
        self._patience = patience
        self._duration = duration
        self._recent = recent
        self._sampling = sampling
        self._waiting = waiting
        self.skipped: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._ready: PairedFrame | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._stream = Continuation(time.monotonic())
        self._backoff = Backoff()
        self._health = SourceHealth(True, self._stream.read, fps=source.fps)
        self.away: str | None = None
        self._left: list[ReaderThread] = []
        self._reader = ReaderThread(self, source, stop)

    @property
    def position(self) -> int:
        """Index of the next frame."""
        return self._source.position + self._stream.index_shift

    def health(self) -> SourceHealth:
        """Returns the state of the source; may be called from any thread."""
        with self._changed:
            return self._health

    def next(self) -> PairedFrame | None:
        """Waits for and returns the next frame; None at the end, or once the run is to stop."""
        with self._changed:
            while not self._stop.is_set():
                if self._ready is not None:
                    paired, self._ready = self._ready, None
                    self._changed.notify_all()
                    return paired
                if self._error is not None:
                    raise self._error
                if self._ended or self._is_over():
                    break
                self._watch()
                self._waiting()
                # Short waits, because some systems handle signals only between waits.
                self._changed.wait(_POLL)
            self._note_absence()
            return None

    def pair_by(self, recent: RecentFrames | None, newest: Frame) -> Frame:
        """Pairs frames by another object from the newest one on."""
        with self._changed:
            self._recent = recent
            newest = paired_again(newest, recent)
            if self._ready is not None:
                frame = paired_again(self._ready.frame, recent)
                self._ready = self._ready._replace(frame=frame)
            return newest

    def close(self) -> None:
        """Ends the thread, or abandons it if it is stuck."""
        self._stop.set()
        self._reader.join(_LEAVING)
        with self._changed:
            self._reader.left = True

    def offer(self, reader: ReaderThread, source: FrameSource, frame: Frame) -> None:
        """Accepts a frame from the reader."""
        read = time.monotonic() if frame.taken is None else frame.taken
        if self._pace is not None:
            self._pace.wait_for(frame)
        with self._changed:
            if reader.left:
                return
            frame = self._counted_on(source, frame, read)
            if (recent := self._recent) is not None:
                frame = recent.add(frame)
            if self._sampling is not None and (reason := self._sampling.skips(frame)):
                self.skipped[reason] += 1
                return
            if not self._has_room(reader):
                return
            if self._recent is not recent:  # replaced while there was no room
                frame = paired_again(frame, self._recent)
            skipped, self.skipped = self.skipped, Counter()
            if self._ready is not None:
                skipped += Counter(self._ready.skipped)
                if frame.gap in ("", "dropped"):  # a break before the dropped frame is told
                    frame = replace(frame, gap=self._ready.frame.gap or "dropped")
            self._ready = PairedFrame(frame, read, skipped)
            self._changed.notify_all()

    def _has_room(self, reader: ReaderThread) -> bool:
        """Waits until a frame can be stored; returns False if nobody takes frames any more."""
        while self._ready and not (self._newest or reader.left or self._stop.is_set()):
            self._changed.wait(_POLL)
        return not reader.left

    def lose(self, reader: ReaderThread, reason: str) -> None:
        """Handles, for the reader, a source that has failed or could not be opened."""
        with self._changed:
            if reader.left or self._stop.is_set():
                return
            now = time.monotonic()
            if self._health.connected:
                what = "is not there" if self._stream.index < 0 else "is lost"
                _LOG.warning("%s %s and will be opened again. %s", self._source.name, what, reason)
                self._backoff.lasted(now - self._health.since)
                self._health = SourceHealth(False, now, self._health.reconnects, reason)
            else:
                self._health = replace(self._health, error=reason)

    def finish(self, reader: ReaderThread, error: BaseException | None) -> None:
        """Handles, for the reader, a source that has ended or cannot be read."""
        with self._changed:
            if not reader.left:
                self._error, self._ended = error, True
                self._changed.notify_all()

    def pause(self) -> None:
        """Waits, in the reader's thread, before the source is opened again."""
        self._stop.wait(self._backoff.scattered())
        self._backoff.grow()

    def _counted_on(self, source: FrameSource, frame: Frame, read: float) -> Frame:
        if not self._health.connected:
            gone = read - self._stream.read
            self._stream.begin(frame, read, source.fps)
            self._source = source
            what = "there" if self._stream.index < 0 else "back"
            _LOG.warning("%s is %s after %.1f seconds.", source.name, what, gone)
            self._health = SourceHealth(True, read, self._health.reconnects + 1, fps=source.fps)
            frame = replace(frame, gap="reconnect")
        return self._stream.add(frame, read)

    def _note_absence(self) -> None:
        if not self._health.connected:
            seconds = time.monotonic() - self._health.since
            self.away = (
                f"It gave no picture in the last {seconds:.1f} seconds of the run. "
                f"{self._health.error}"
            )

    def _is_over(self) -> bool:
        if self._health.connected:
            return False
        return self._stream.time + time.monotonic() - self._stream.read >= self._duration

    def _watch(self) -> None:
        """Replaces a stuck reader; called under the lock."""
        if not (self._source.reopens and self._reader.is_stuck(self._patience)):
            return
        # Threads that never end must not accumulate, so their number is limited.
        self._left = [reader for reader in self._left if reader.alive]
        if len(self._left) < _MOST_LEFT:
            self.lose(self._reader, f"It gave no frame for {self._patience:g} seconds.")
            self._reader.left = True
            self._left.append(self._reader)
            self._reader = ReaderThread(self, self._origin, self._stop, lost=True)


def open_reader(
    source: FrameSource,
    stop: threading.Event,
    options: PipelineOptions,
    *,
    recent: RecentFrames | None,
    waiting: Callable[[], None],
) -> FrameReader:
    """Returns the reader of a source; the arguments are those of ``LiveReader``.

    A thread reads a live source, and a recording of which only the newest frame is kept.
    """
    realtime, sampling = options.realtime, options.sampling
    if not (options.latest or source.live):
        return DirectReader(source, stop, realtime=realtime, recent=recent, sampling=sampling)
    return LiveReader(
        source,
        stop,
        newest=options.latest,
        realtime=realtime,
        patience=options.patience,
        duration=options.duration,
        recent=recent,
        sampling=sampling,
        # With ``overlap``, another thread than the one that links waits for frames.
        waiting=(lambda: None) if options.overlap else waiting,
    )
