"""The thread of ``live_reader``: its loop opens a source, reads frames, and hands them over."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Protocol

from edgekit.errors import MediaError
from edgekit.pipeline.protocols import FrameSource, read_frame
from edgekit.runtime.types import Frame

__all__ = ["ReaderThread", "Taker"]

_FIRST_PICTURE = 30.0
"""Seconds that the first picture of a new connection may always take. A source needs up to
``patience`` to connect before, and gives up earlier by itself, unless it hangs."""


class Taker(Protocol):
    """Receiver of a reader's frames. Calls from an abandoned reader are ignored, except pause()."""

    def offer(self, reader: ReaderThread, source: FrameSource, frame: Frame) -> None:
        """Reports that a frame was read."""

    def lose(self, reader: ReaderThread, reason: str) -> None:
        """Reports that the source has failed, or could not be opened."""

    def finish(self, reader: ReaderThread, error: BaseException | None) -> None:
        """Reports that the source has ended, or has an error that reconnecting cannot fix."""

    def pause(self) -> None:
        """Waits before the source is opened again."""


class ReaderThread:
    """Reads in a thread until it is abandoned, or the run stops.

    Args:
        taker: Receiver of the frames.
        source: Source to read; the reader leaves it open for its owner.
        stop: Event that is set when the run is to end.
        lost: Whether to reconnect first.

    Attributes:
        left: Whether the reader is abandoned; set under the receiver's lock.
    """

    def __init__(
        self, taker: Taker, source: FrameSource, stop: threading.Event, *, lost: bool = False
    ) -> None:
        self.left = False
        self._taker = taker
        self._origin = source
        self._source = None if lost else source
        self._stop = stop
        self._reading_since: float | None = None
        self._opening_since: float | None = None
        self._size: tuple[int, ...] | None = None
        self._thread = threading.Thread(target=self._run, name="edgekit-capture", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Waits for the end of the thread, for a limited time."""
        self._thread.join(seconds)

    def is_stuck(self, patience: float) -> bool:
        """Returns whether a read takes longer than ``patience``, or opening takes too long."""
        now = time.monotonic()
        reading, opening = self._reading_since, self._opening_since
        if reading is not None:
            return now - reading > patience
        longest = patience + max(patience, _FIRST_PICTURE)
        return opening is not None and now - opening > longest

    def _run(self) -> None:
        try:
            while not (self.left or self._stop.is_set()):
                if self._source is None:
                    self._open()
                elif not self._read(self._source):
                    self._taker.finish(self, None)
                    return
        except BaseException as error:
            self._taker.finish(self, error)
        finally:
            # If the reader was stuck, nobody else can close its source.
            if self._source is not None and (self.left or self._source is not self._origin):
                self._close(self._source)

    def _read(self, source: FrameSource) -> bool:
        """Delivers a frame or reports the source's failure; returns False if it has ended."""
        self._reading_since = time.monotonic()
        reason = "It ended."
        try:
            frame = read_frame(source)
        except MediaError as error:
            if not source.reopens:
                raise
            frame, reason = None, error.message
        finally:
            self._reading_since = None
        if frame is not None and source.reopens:
            size = frame.image.shape[:2]
            if self._size not in (None, size):
                reason = f"Its pictures are of {size[1]}x{size[0]} pixels now."
                frame = None
            self._size = size
        if frame is not None:
            self._taker.offer(self, source, frame)
            return True
        if not source.reopens:
            return False
        self._lose(source, reason)
        return True

    def _lose(self, source: FrameSource, reason: str) -> None:
        self._source = self._size = None
        self._close(source)
        self._taker.lose(self, reason)

    def _open(self) -> None:
        self._taker.pause()
        if self._stop.is_set():
            return
        self._opening_since = time.monotonic()
        try:
            source = self._origin.reopened()
        except MediaError as error:
            self._taker.lose(self, error.message)
        else:
            if source.reopens:
                self._source = source
            else:  # such as the picture that a server shows in place of a camera that is away
                self._close(source)
                self._taker.lose(self, "Its address gives a recording or a picture now.")
        finally:
            self._opening_since = None

    @staticmethod
    def _close(source: FrameSource) -> None:
        with contextlib.suppress(Exception):
            source.close()
