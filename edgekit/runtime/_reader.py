"""The thread that reads a live source, and opens it anew when it fails."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Protocol

from edgekit.errors import MediaError
from edgekit.runtime.seams import FrameSource
from edgekit.runtime.types import Frame

__all__ = ["Reader", "Taker"]

_LONGEST_OPENING = 30.0


class Taker(Protocol):
    """Who takes what a reader reads. Everything but ``pause`` is ignored from one that is left."""

    def offer(self, reader: Reader, source: FrameSource, frame: Frame) -> None:
        """A frame was read."""

    def lose(self, reader: Reader, reason: str) -> None:
        """The source has failed, or could not be opened."""

    def finish(self, reader: Reader, error: BaseException | None) -> None:
        """The source has ended, or its error is one that no opening mends."""

    def pause(self) -> None:
        """Waits before the source is opened again."""


class Reader:
    """Reads in a thread until it is left, or told that the run is over.

    Args:
        taker: Of what is read.
        source: Of which to read; it is left open for its owner.
        stop: Set when the run is to end.
        lost: Whether to begin with opening it anew.

    Attributes:
        left: Set, under the taker's lock, where nobody takes any more.
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
        """Waits for the end of the thread, so long at most."""
        self._thread.join(seconds)

    def is_stuck(self, patience: float) -> bool:
        """Whether it waits for a frame for longer than ``patience``, or for an opening."""
        now = time.monotonic()
        reading, opening = self._reading_since, self._opening_since
        if reading is not None:
            return now - reading > patience
        return opening is not None and now - opening > max(patience, _LONGEST_OPENING)

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
            # One that is stuck here can be closed by nobody else.
            if self._source is not None and (self.left or self._source is not self._origin):
                self._close(self._source)

    def _read(self, source: FrameSource) -> bool:
        """Passes on a frame, or what is wrong with the source; False where it has ended."""
        self._reading_since = time.monotonic()
        reason = "It ended."
        try:
            frame = source.read()
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
            self._source = self._origin.reopened()
        except MediaError as error:
            self._taker.lose(self, error.message)
        finally:
            self._opening_since = None

    @staticmethod
    def _close(source: FrameSource) -> None:
        with contextlib.suppress(Exception):
            source.close()
