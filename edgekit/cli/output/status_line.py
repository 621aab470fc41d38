"""Shows the progress of a run in one line of the terminal."""

from __future__ import annotations

import sys
import threading
import time

from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.results import FrameResult, RunInfo

__all__ = ["StatusLine"]

_REFRESH = 0.2
_SILENT = 1.0
"""Seconds without a frame after which the line is updated."""


class StatusLine:
    """One line on standard error for all sources of a run, if standard error is a terminal.

    Args:
        shown: Whether to show the line.
    """

    def __init__(self, *, shown: bool = True) -> None:
        self._terminal = shown and sys.stderr.isatty()
        self._lock = threading.Lock()
        self._parts: list[_SourceState] = []
        self._begin: float | None = None
        self._last = 0.0
        self._over = threading.Event()

    def sink(self) -> Sink:
        """Returns a sink that updates the line for one source."""
        part = _SourceState(self)
        self._parts.append(part)
        return part

    def begin(self) -> None:
        """Registers the start of a source; the first one starts the line."""
        with self._lock:
            first = self._begin is None
            self._begin = self._last = self._begin or time.monotonic()
        if self._terminal and first:
            threading.Thread(target=self._watch, name="edgekit-status", daemon=True).start()

    def renew(self) -> None:
        """Updates the line, at most a few times per second; safe from any thread."""
        now = time.monotonic()
        if not self._terminal or self._begin is None or now - self._last < _REFRESH:
            return
        with self._lock:
            self._last = now
            rate = sum(part.frames for part in self._parts) / (now - self._begin)
            tubes = sum(part.tubes for part in self._parts)
            self._write(f"\r\x1b[K{self._place()}   {rate:.1f} FPS   {tubes} live")

    def remove(self) -> None:
        """Removes the line."""
        if not any(part.goes_on for part in self._parts):
            self._over.set()
        if self._terminal:
            with self._lock:
                self._write("\r\x1b[K")

    def _watch(self) -> None:
        """Updates the line while no source gives frames, so that it does not show the past."""
        while not self._over.wait(_SILENT):
            self.renew()

    def _write(self, words: str) -> None:
        try:
            sys.stderr.write(words)
            sys.stderr.flush()
        except OSError:  # the terminal has closed; the run continues
            self._terminal = False

    def _place(self) -> str:
        if len(self._parts) == 1:
            lost = "" if self._parts[0].connected else "   source lost"
            return f"frame {self._parts[0].place}{lost}"
        going = sum(part.goes_on and part.connected for part in self._parts)
        frames = sum(part.frames for part in self._parts)
        totals = [part.total for part in self._parts]
        of = f"/{sum(filter(None, totals))}" if all(totals) else ""
        return f"{going} of {len(self._parts)} sources   {frames}{of} frames"


class _SourceState(Sink):
    """State of one source that the line shows."""

    def __init__(self, line: StatusLine) -> None:
        self._line = line
        self.total: int | None = None
        self.place = ""
        self.frames = 0
        self.tubes = 0
        self.goes_on = True
        self._info: RunInfo | None = None

    @property
    def connected(self) -> bool:
        """Whether the source gives frames."""
        return self._info is None or self._info.health().connected

    def start(self, info: RunInfo) -> None:
        """Stores the total number of frames."""
        self._info, self.total = info, info.frames
        self._line.begin()

    def frame(self, result: FrameResult) -> None:
        """Counts a frame and stores the number of actors in it."""
        self.frames += 1
        self.place = f"{result.frame.index + 1}" + (f"/{self.total}" if self.total else "")
        self.tubes = len(result.actors)
        self._line.renew()

    def close(self) -> None:
        """Registers the end of the source."""
        self.goes_on, self.tubes = False, 0
        self._line.remove()
