"""How frames get from a source into the pipeline: all of them, or always the newest."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import NamedTuple, Protocol

from edgekit.runtime.seams import FrameSource
from edgekit.runtime.types import Frame

__all__ = ["DirectFeed", "Fed", "Feed", "LatestFeed"]

_POLL = 0.1


class Fed(NamedTuple):
    """A frame, and when it was read, in seconds of ``time.monotonic``."""

    frame: Frame
    read: float


class Feed(Protocol):
    """Gives the pipeline its frames."""

    def next(self) -> Fed | None:
        """The next frame; None at the end, or once the run is to stop."""

    def close(self) -> None:
        """Ends what runs in the background."""


class _Pace:
    """Holds frames back until their own time has come."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._begin: float | None = None

    def wait_for(self, frame: Frame) -> None:
        now = time.monotonic()
        if self._begin is None:
            self._begin = now - frame.time
        self._stop.wait(max(0.0, self._begin + frame.time - now))


class DirectFeed:
    """Reads a frame whenever one is asked for, so that none is lost.

    Args:
        source: Open.
        stop: Set when the run is to end.
        realtime: Not before each frame's own time.
    """

    def __init__(
        self, source: FrameSource, stop: threading.Event, *, realtime: bool = False
    ) -> None:
        self._source = source
        self._stop = stop
        self._pace = _Pace(stop) if realtime else None

    def next(self) -> Fed | None:
        """The next frame; None at the end, or once the run is to stop."""
        frame = self._source.read()
        read = time.monotonic()
        if frame is not None and self._pace is not None:
            self._pace.wait_for(frame)
        return None if frame is None or self._stop.is_set() else Fed(frame, read)

    def close(self) -> None:
        """Nothing runs in the background."""


class LatestFeed:
    """Reads in a thread and keeps the newest frame only.

    Frames that nobody took in time are lost; the indices tell how many. An error of the source is
    raised by ``next``, after the frames that came before it.

    Args:
        source: Open. Only the thread reads it until ``close``.
        stop: Set when the run is to end.
        realtime: Not before each frame's own time.
    """

    def __init__(
        self, source: FrameSource, stop: threading.Event, *, realtime: bool = False
    ) -> None:
        self._source = source
        self._stop = stop
        self._pace = _Pace(stop) if realtime else None
        self._changed = threading.Condition()
        self._newest: Fed | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._read_on, name="edgekit-capture", daemon=True)
        self._thread.start()

    def next(self) -> Fed | None:
        """The newest frame, waiting for it; None at the end, or once the run is to stop."""
        with self._changed:
            # In short waits, because a signal is only handled between them on some systems.
            while self._newest is None and not self._ended and not self._stop.is_set():
                self._changed.wait(_POLL)
            fed, self._newest = self._newest, None
            if self._stop.is_set():
                return None
            if fed is None and self._error is not None:
                raise self._error
            return fed

    def close(self) -> None:
        """Ends the thread, once the read that it is in returns."""
        self._stop.set()
        self._thread.join()

    def _read_on(self) -> None:
        try:
            while not self._stop.is_set():
                frame = self._source.read()
                if frame is None:
                    break
                if self._pace is not None:
                    self._pace.wait_for(frame)
                self._offer(frame)
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _offer(self, frame: Frame) -> None:
        with self._changed:
            lost = self._newest
            if lost is not None and not frame.gap:
                frame = replace(frame, gap=lost.frame.gap or "dropped")
            self._newest = Fed(frame, time.monotonic())
            self._changed.notify()
