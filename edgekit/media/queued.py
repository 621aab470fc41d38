"""A sink in a thread of its own, so that a slow or failing one holds nobody up."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

from edgekit._resources import shortage_of
from edgekit.errors import EdgeKitError
from edgekit.media._backlog import COUNTED, Backlog, Call
from edgekit.media.sink import Sink
from edgekit.runtime.backoff import Backoff
from edgekit.runtime.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["QueuedSink", "SinkHealth"]

_LOG = logging.getLogger(__name__)
_BACKLOG_SECONDS = 1.5
_ENDING_SECONDS = 8.0
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """How a sink does.

    Attributes:
        name: As given to ``QueuedSink``.
        written: Frames, gaps and tubes that the sink took.
        lost: Frames, gaps and tubes that it did not.
        error: What is wrong with it at present, as a sentence; None where nothing is. It stands
            until something has been written again.
        last_error: What was wrong with it last, also where it has gone on since.
        codec: Name of the codec that it writes; None where it writes no video.
    """

    name: str
    written: int
    lost: int
    error: str | None = None
    codec: str | None = None
    last_error: str | None = None


class QueuedSink(Sink):
    """Runs a sink in a thread behind a bounded queue.

    The sink gets its calls in order, all from that thread; ``start`` returns when the sink has
    started, and raises what it raised. What happens later depends on the source. A file waits for
    the sink: nothing is lost, and its error is raised by the next call. A live source waits for
    nobody: where the queue is full, frames are lost and counted, and so are gaps and tubes where
    a much larger bound is reached. An error there is reported by ``health``, never raised. The
    sink is then asked to ``reopen``, after waits that grow from 0.5 to 30 seconds, and the gap or
    tube that failed is given to it again, once. Before the next call that follows a loss, ``lost``
    tells the sink how large it was.

    Args:
        sink: Nobody else calls it from now on.
        name: For people.
        live: Whether the source is live.
        fatal: Errors that end the run though the source is live.
        frames: So many frames wait at most; each holds its picture.
        pixels: Bytes that the pictures of waiting frames take at most, unless only one waits.
        others: So many calls of all kinds wait at most, on a live source.
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
        """How the sink does; may be called from any thread."""
        # Before the lock: the sink may take its time, and the run must not wait for that.
        dropped, trouble = self._sink.dropped, self._sink.trouble
        with self._changed:
            written, lost = max(0, self._written - dropped), self._lost + dropped
            error = self._error or trouble
            last = error or self._last_error
            return SinkHealth(self._name, written, lost, error, self._sink.codec, last)

    def check(self) -> None:
        """Asks the sink, in the calling thread."""
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
        """Passes the gap on."""
        self._give("gap", gap)

    def frame(self, result: FrameResult) -> None:
        """Passes the frame on; without room for it waits, or on a live source loses it."""
        self._give("frame", result)

    def tube(self, tube: Tube) -> None:
        """Passes the tube on."""
        self._give("tube", tube)

    def end(self, summary: RunSummary) -> None:
        """Asks the sink to end after what it has to do still; ``close`` waits for that."""
        with self._changed:
            self._raise()
            self._put("end", summary)
            self._asked = time.monotonic()

    def close(self) -> None:
        """Waits until the sink is through and closed.

        On a live source a sink that is stuck is left behind after 1.5 seconds, or after 8 more
        where it is making its result complete.
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
                        "%s is slower than the source: frames for which it has no room are lost, "
                        "and counted.",
                        self._name,
                    )
            else:
                self._put(kind, value)

    def _put(self, kind: str, value: Any) -> None:
        if self._over:
            return
        self._waiting.put(Call(kind, value, self._untold))
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

    def _take(self) -> Call | None:
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
        """Makes one call; False where it was the last."""
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
        """Whether something was written since the last failure."""
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
        """Asks the sink to reopen until it has; False where it cannot, or the run ends first."""
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
        """Counts what is left as lost; called under the lock."""
        self._lost += self._waiting.clear()
        self._over = True
        self._changed.notify_all()


def _sentence(error: Exception) -> str:
    known = error if isinstance(error, EdgeKitError) else shortage_of(error)
    text = known.message if known else str(error) or repr(error)
    return text if text.endswith(".") else f"{text}."
