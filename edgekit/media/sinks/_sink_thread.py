"""The thread of ``queued``: it calls the sink, and asks it to reopen after a failure."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from edgekit.media.sinks._backlog import COUNTED, CallQueue
from edgekit.media.sinks.health import HealthRecord
from edgekit.media.sinks.sink import Sink
from edgekit.system.backoff import Backoff

__all__ = ["SinkThread"]

_IDLE_SECONDS = 1.0
_EMPTY = ("close", "idle")
"""Kinds of calls that pass nothing to the sink."""


class SinkThread:
    """Takes calls from a queue and makes them, until the sink is closed or cannot continue.

    Args:
        sink: Sink to call; it is closed at the end in any case.
        queue: Queue of the calls, whose lock also guards ``record``.
        record: Record of what the sink writes and loses.
        name: Name of the thread.
        live: Whether the source is live. If not, every error ends the run.
        fatal: Errors that end the run even if the source is live.
    """

    def __init__(
        self,
        sink: Sink,
        queue: CallQueue,
        record: HealthRecord,
        *,
        name: str,
        live: bool,
        fatal: tuple[type[Exception], ...],
    ) -> None:
        self._sink = sink
        self._queue = queue
        self._record = record
        self._live = live
        self._fatal = fatal
        self._owed = 0
        self._ended = False
        self._abandoned = False
        self._backoff = Backoff()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @property
    def has_started(self) -> bool:
        """Whether ``start`` was called."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def abandon(self) -> None:
        """Takes the calls that are not completed for lost; the caller holds the queue's lock."""
        self._abandoned = True
        self._record.late()
        self._record.lost += (self._queue.present in COUNTED) + self._queue.finish()

    def _work(self) -> None:
        queue = self._queue
        try:
            while (call := queue.take(_IDLE_SECONDS if self._live else None)) is not None:
                self._owed += call.lost
                if not self._deliver(call.kind, call.value):
                    break
        finally:
            with contextlib.suppress(Exception):
                self._sink.close()
            with queue.changed:
                self._record.lost += queue.finish()
                if self._ended:
                    self._record.in_time()
                elif self._sink.appears_at_end:
                    self._record.lose_all()

    def _deliver(self, kind: str, value: Any) -> bool:
        """Makes one call to the sink; returns False if it was the last one."""
        goes_on = kind != "close"
        failed = error = self._call(kind, value)
        if failed is not None and self._is_final(kind, failed):
            goes_on = False
            with self._queue.changed:
                self._queue.failure = failed
                self._record.failed(failed, self._sink.stored)
        elif failed is not None:
            self._note(failed)
            if not self._recover():
                goes_on = False
            elif kind != "frame":
                error = self._call(kind, value)
        with self._queue.changed:
            if kind in COUNTED and not self._abandoned:
                self._record.written += error is None
                self._record.lost += error is not None
                self._owed += error is not None
            heard = error is None and kind not in _EMPTY and not self._abandoned
            if heard and self._record.recovered(self._sink.stored):
                self._backoff.reset()
            if error is None and not self._queue.backlog:
                self._record.caught_up()
            self._ended = self._ended or (kind == "end" and error is None)
        self._record.log_recovery()
        return goes_on

    def _call(self, kind: str, value: Any) -> Exception | None:
        try:
            if kind in _EMPTY:
                getattr(self._sink, kind)()
            else:
                if self._owed:
                    self._sink.lost(self._owed)
                    self._owed = 0
                getattr(self._sink, kind)(value)
        except Exception as error:
            return error
        return None

    def _is_final(self, kind: str, error: Exception) -> bool:
        return not self._live or kind == "start" or isinstance(error, self._fatal)

    def _note(self, error: Exception) -> None:
        self._record.log(error)
        with self._queue.changed:
            self._record.failed(error, self._sink.stored)

    def _recover(self) -> bool:
        """Asks the sink to reopen until it does; False if it cannot, or if the run ends first."""
        queue = self._queue
        while True:
            with queue.changed:
                queue.changed.wait_for(lambda: queue.closing or queue.over, self._backoff.seconds)
                ending = queue.closing or queue.over
                self._backoff.grow()
            try:
                return self._sink.reopen()
            except Exception as error:
                self._note(error)
                if ending:
                    return False
