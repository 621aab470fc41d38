"""Puts a queue and a thread before a sink, so that a slow or failing one does not stop the run."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from edgekit.media.sinks._backlog import Backlog, CallQueue
from edgekit.media.sinks._sink_thread import SinkThread
from edgekit.media.sinks.health import HealthRecord, SinkHealth
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["QueuedSink"]

_CALL_SECONDS = 3.0
"""Longest call of a sink of a live source at the end, except for the call that completes its
result."""

_ENDING_SECONDS = 9.5
"""Longest time for all waiting calls and the result of a sink of a live source."""

_POLL = 0.05
_WITHOUT_PICTURE = 32


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
        frames: Largest number of waiting frames; each holds its picture. If the sink needs no
            pictures, 32 times as many can wait, without theirs.
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
        self._live = live
        self._record = HealthRecord(name)
        self._has_pictures = sink.needs_pictures
        if not self._has_pictures:
            frames *= _WITHOUT_PICTURE
        self._queue = CallQueue(Backlog(frames, pixels, others if live else None))
        self._thread = SinkThread(
            sink, self._queue, self._record, name=f"edgekit-{name}", live=live, fatal=fatal
        )
        self._asked_to_end: float | None = None

    def health(self) -> SinkHealth:
        """Returns the state of the sink; safe to call from any thread."""
        # Ask without the lock, as the sink may be slow; trouble last, as others may cause it.
        sink = self._sink
        pending, dropped, codec, trouble = sink.pending, sink.dropped, sink.codec, sink.trouble
        with self._queue.changed:
            return self._record.health(dropped, pending, trouble, codec)

    @property
    def needs_same_classes(self) -> bool:
        """Whether the sink needs the same classes."""
        return self._sink.needs_same_classes

    def check(self) -> None:
        """Calls the sink's ``check`` in the calling thread."""
        self._sink.check()

    def start(self, info: RunInfo) -> None:
        """Starts the sink, and waits until it has started."""
        queue = self._queue
        self._thread.start()
        with queue.changed:
            queue.put("start", info)
            queue.changed.wait_for(lambda: queue.over or not (queue.backlog or queue.present))
            queue.raise_failure()

    def gap(self, gap: Gap) -> None:
        """Queues the gap."""
        self._give("gap", gap)

    def frame(self, result: FrameResult) -> None:
        """Queues the frame. With a full queue, a file waits and a live source loses the frame."""
        if not self._has_pictures:
            result = replace(result, frame=result.frame.without_pictures())
        self._give("frame", result)

    def tube(self, tube: Tube) -> None:
        """Queues the tube."""
        self._give("tube", tube)

    def bundle(self, change: BundleChange) -> None:
        """Queues the change of bundles, whether there is room or not."""
        with self._queue.changed:
            self._queue.raise_failure()
            self._queue.put("bundle", change)

    def end(self, summary: RunSummary) -> None:
        """Asks the sink to end after the queued calls; ``close`` waits for that."""
        with self._queue.changed:
            self._queue.raise_failure()
            self._queue.put("end", summary)
            self._asked_to_end = time.monotonic()

    def close(self) -> None:
        """Waits until the sink has handled all calls and is closed.

        On a live source, a sink is abandoned if it is stuck in a call for 3 seconds, or has not
        completed its result after 9.5 seconds.
        """
        if not self._thread.has_started:
            self._sink.close()
            return
        queue = self._queue
        with queue.changed:
            queue.closing = True
            queue.put("close", None)
            if self._asked_to_end is None:
                self._asked_to_end = time.monotonic()
            while not queue.over:
                queue.changed.wait(_POLL if self._live else None)
                if self._live and self._is_stuck(time.monotonic()):
                    self._thread.abandon()
            queue.raise_failure()

    def _is_stuck(self, now: float) -> bool:
        assert self._asked_to_end is not None
        queue = self._queue
        ending = queue.present in ("end", "close")
        is_hanging = not ending and now - max(queue.since, self._asked_to_end) > _CALL_SECONDS
        return is_hanging or now - self._asked_to_end > _ENDING_SECONDS

    def _give(self, kind: str, value: Any) -> None:
        queue = self._queue
        with queue.changed:
            while not (self._live or queue.over or queue.backlog.has_room_for(value)):
                queue.changed.wait()
            queue.raise_failure()
            if queue.over:
                self._record.lost += 1
            elif queue.backlog.has_room_for(value):
                queue.put(kind, value)
            else:
                queue.drop()
                self._record.dropped()
