"""Runs a sink in its own thread, so that a slow or failing sink does not stop the run."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from edgekit.errors import EdgeKitError
from edgekit.media.sinks._backlog import COUNTED, Backlog, SinkCall
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube
from edgekit.system.backoff import Backoff
from edgekit.system.shortage import shortage_of

__all__ = ["QueuedSink", "SinkHealth"]

_LOG = logging.getLogger(__name__)
_BACKLOG_SECONDS = 1.5
_ENDING_SECONDS = 8.0
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """State of a sink.

    Attributes:
        name: Name given to ``QueuedSink``.
        written: Number of frames, gaps and tubes that the sink wrote.
        lost: Number of frames, gaps and tubes that the sink did not write.
        error: Present problem, as a sentence; None if there is none. It stays until something has
            been written again.
        last_error: Latest problem, even if the sink has recovered since.
        codec: Name of the video codec; None if the sink writes no video.
    """

    name: str
    written: int
    lost: int
    error: str | None = None
    codec: str | None = None
    last_error: str | None = None


# Many attributes: the queue and the health of its sink are one state of two threads, under one
# lock.
class QueuedSink(Sink):
    """Runs a sink in a thread behind a bounded queue.

    The sink gets all its calls in order, from that thread. ``start`` returns when the sink has
    started, and raises what the sink raised. Later behaviour depends on the source. With a file,
    the run waits for the sink: nothing is lost, and the next call raises the sink's error. A live
    source never waits. If the queue is full, frames are lost and counted; gaps and tubes are lost
    only at a much larger limit. ``health`` reports an error there, and no call raises it. The sink
    is then asked to ``reopen``, after waits that grow from 0.5 to 30 seconds. The gap or tube that
    failed is delivered once more. Before the next call after a loss, ``lost`` gives the sink the
    number of lost calls.

    Args:
        sink: Sink to run; nothing else may call it from now on.
        name: Name for messages.
        live: Whether the source is live.
        fatal: Errors that end the run even if the source is live.
        frames: Largest number of waiting frames; each holds its picture.
        pixels: Largest size in bytes of the waiting pictures; a single frame may exceed it.
        others: Largest number of waiting calls of all kinds, on a live source.
    """

    def __init__(
        self,
        sink: Sink,
        name: str,
        *,
        live: bool,
        fatal: tuple[type[Exception], ...] = (),
        frames: int = 8,
        pixels: int = 1 << 28,
        others: int = 1024,
    ) -> None:
        self._sink = sink
        self._name = name
        self._live = live
        self._fatal = fatal
        self._changed = threading.Condition()
        self._waiting = Backlog(frames, pixels, others if live else None)
        self._present = ""
        self._written = 0
        self._lost = 0
        self._untold = 0
        self._owed = 0
        self._error: str | None = None
        self._last_error: str | None = None
        self._stored: int | None = None
        self._warned = self._slow = False
        self._failure: Exception | None = None
        self._backoff = Backoff()
        self._asked = 0.0
        self._closing = False
        self._over = False
        self._thread = threading.Thread(target=self._work, name=f"edgekit-{name}", daemon=True)

    def health(self) -> SinkHealth:
        """Returns the state of the sink; safe to call from any thread."""
        # Ask without the lock, as the sink may be slow; trouble last, as others may cause it.
        dropped, codec, trouble = self._sink.dropped, self._sink.codec, self._sink.trouble
        with self._changed:
            written, lost = max(0, self._written - dropped), self._lost + dropped
            error = self._error or trouble
            last = error or self._last_error
            return SinkHealth(self._name, written, lost, error, codec, last)

    def check(self) -> None:
        """Calls the sink's ``check`` in the calling thread."""
        self._sink.check()

    def start(self, info: RunInfo) -> None:
        """Starts the sink, and waits until it has started."""
        self._thread.start()
        with self._changed:
            self._put("start", info)
            while (self._waiting or self._present) and not self._over:
                self._changed.wait()
            self._raise()

    def gap(self, gap: Gap) -> None:
        """Queues the gap."""
        self._give("gap", gap)

    def frame(self, result: FrameResult) -> None:
        """Queues the frame. With a full queue, a file waits and a live source loses the frame."""
        self._give("frame", result)

    def tube(self, tube: Tube) -> None:
        """Queues the tube."""
        self._give("tube", tube)

    def end(self, summary: RunSummary) -> None:
        """Asks the sink to end after the queued calls; ``close`` waits for that."""
        with self._changed:
            self._raise()
            self._put("end", summary)
            self._asked = time.monotonic()

    def close(self) -> None:
        """Waits until the sink has handled all calls and is closed.

        On a live source, a stuck sink is abandoned after 1.5 seconds, or 8 seconds later if it is
        completing its result.
        """
        if self._thread.ident is None:
            self._sink.close()
            return
        with self._changed:
            self._closing = True
            self._put("close", None)
            self._asked = self._asked or time.monotonic()
            while not self._over:
                self._changed.wait(_POLL if self._live else None)
                if self._live and self._is_stuck(time.monotonic() - self._asked):
                    self._error = self._error or "It did not end in time."
                    self._finish()
            self._raise()

    def _is_stuck(self, seconds: float) -> bool:
        ending = self._present in ("end", "close")
        return seconds > _BACKLOG_SECONDS + (_ENDING_SECONDS if ending else 0.0)

    def _give(self, kind: str, value: Any) -> None:
        with self._changed:
            while not (self._live or self._over or self._waiting.has_room_for(value)):
                self._changed.wait()
            self._raise()
            if self._over or not self._waiting.has_room_for(value):
                self._lost += 1
                self._untold += 1
                if not (self._slow or self._over or self._error):
                    self._slow = True
                    _LOG.warning(
                        "%s is slower than the source. EdgeKit drops the frames that do not fit "
                        "into its queue, and counts them.",
                        self._name,
                    )
            else:
                self._put(kind, value)

    def _put(self, kind: str, value: Any) -> None:
        if self._over:
            return
        self._waiting.put(SinkCall(kind, value, self._untold))
        self._untold = 0
        self._changed.notify_all()

    def _raise(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _work(self) -> None:
        try:
            while (call := self._take()) is not None and self._deliver(call.kind, call.value):
                pass
        finally:
            with contextlib.suppress(Exception):
                self._sink.close()
            with self._changed:
                self._finish()

    def _take(self) -> SinkCall | None:
        with self._changed:
            self._present = ""
            self._changed.notify_all()
            while not (self._waiting or self._over):
                self._changed.wait()
            if self._over:
                return None
            call = self._waiting.take()
            self._owed += call.lost
            self._present = call.kind
            return call

    def _deliver(self, kind: str, value: Any) -> bool:
        """Makes one call to the sink; returns False if it was the last one."""
        alive = True
        failed = error = self._call(kind, value)
        if failed is not None and self._is_final(kind, failed):
            with self._changed:
                self._failure = failed
        elif failed is not None:
            self._note(failed)
            alive = self._recover()
            if alive and kind != "frame":
                error = self._call(kind, value)
        with self._changed:
            if kind in COUNTED:
                self._written += error is None
                self._lost += error is not None
                self._owed += error is not None
            if error is None and kind != "close" and self._has_stored():
                self._backoff.reset()
                self._error = None
            return alive and kind != "close" and self._failure is None

    def _call(self, kind: str, value: Any) -> Exception | None:
        try:
            if kind == "close":
                self._sink.close()
            else:
                if self._owed:
                    self._sink.lost(self._owed)
                    self._owed = 0
                getattr(self._sink, kind)(value)
        except Exception as error:
            return error
        return None

    def _has_stored(self) -> bool:
        """Returns whether something was written since the last failure."""
        stored = self._sink.stored
        return stored is None or self._stored is None or stored > self._stored

    def _is_final(self, kind: str, error: Exception) -> bool:
        return not self._live or kind == "start" or isinstance(error, self._fatal)

    def _note(self, error: Exception) -> None:
        level = logging.INFO if self._warned else logging.WARNING
        _LOG.log(level, "%s: %s The run goes on without it.", self._name, _sentence(error))
        with self._changed:
            self._error = self._last_error = _sentence(error)
            self._stored, self._warned = self._sink.stored, True

    def _recover(self) -> bool:
        """Asks the sink to reopen until it does; False if it cannot, or if the run ends first."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._over, self._backoff.seconds)
                ending = self._closing or self._over
                self._backoff.grow()
            try:
                return self._sink.reopen()
            except Exception as error:
                self._note(error)
                if ending:
                    return False

    def _finish(self) -> None:
        """Counts the waiting calls as lost; the caller holds the lock."""
        self._lost += self._waiting.clear()
        self._over = True
        self._changed.notify_all()


def _sentence(error: Exception) -> str:
    known = error if isinstance(error, EdgeKitError) else shortage_of(error)
    text = known.message if known else str(error) or repr(error)
    return text if text.endswith(".") else f"{text}."
