"""Reports the state of a run to systemd, if systemd started it as a notifying service."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgekit.errors import MissingDependencyError
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary

__all__ = ["ServiceManager"]

_LOG = logging.getLogger(__name__)
_LONGEST_PERIOD = 0.5
_STATUS_SECONDS = 5.0


class ServiceManager:
    """Reports the state of a run to the service manager, if one listens.

    READY is sent once each source has given a frame or is known to be lost, and again after each
    reload. STATUS is sent when it changes, STOPPING when the last source ends. If the unit has a
    watchdog, WATCHDOG is sent twice per interval while frames flow. It is not sent if a connected
    source has given no frame for half of the interval. A lost source that EdgeKit keeps trying is
    no reason to restart the service.
    """

    def __init__(self) -> None:
        self._send = _sender() if os.environ.get("NOTIFY_SOCKET") else None
        self._watchdog = _watchdog_seconds()
        self._period = min(_LONGEST_PERIOD, (self._watchdog or 60.0) / 8)
        self._parts: list[_WatchedSource] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._has_begun = False
        self._ready = False
        self._status = ("", float("-inf"))
        self._fed = float("-inf")

    def sink(self, outputs: Callable[[], Sequence[SinkHealth]]) -> Sink | None:
        """Returns a sink that follows one source; None if no service manager listens.

        Args:
            outputs: Function that returns the health of the source's other sinks.
        """
        if self._send is None:
            return None
        part = _WatchedSource(self, outputs)
        self._parts.append(part)
        return part

    def begin(self) -> None:
        """Registers the start of a source; the first one starts the reports."""
        with self._lock:
            if self._has_begun or self._send is None:
                return
            self._has_begun = True
        threading.Thread(target=self._work, name="edgekit-service", daemon=True).start()

    def end_if_all_have(self) -> None:
        """Reports that the service is stopping, once the last source has ended."""
        with self._lock:
            over = self._has_begun and all(part.ended for part in self._parts)
            if over and not self._over.is_set():
                self._over.set()
                self._notify("STOPPING")

    def reloaded(self) -> None:
        """Reports that the options were read again; safe in a signal handler."""
        if self._send is not None and self._ready:
            self._notify("RELOADING")
            self._notify("READY")

    def _work(self) -> None:
        while not self._over.wait(self._period):
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        """Reports changes of the sources since the previous call."""
        if not self._ready and all(part.settled for part in self._parts):
            self._ready = True
            self._notify("READY")
            # The status of a moment before would stand for five seconds: no source gives frames.
            self._status = (self._status[0], float("-inf"))
        if self._watchdog is not None and now - self._fed >= self._watchdog / 2 - self._period:
            limit = self._watchdog / 2
            if all(part.flows(now, limit) for part in self._parts):
                self._fed = now
                self._notify("WATCHDOG")
        words, sent = self._status
        if now - sent >= _STATUS_SECONDS and (words := self._words()) != self._status[0]:
            self._status = (words, now)
            self._notify("STATUS", words)

    def _words(self) -> str:
        parts = self._parts
        states = [part.activity.status for part in parts]
        rate = sum(part.activity.rate for part in parts if not part.ended)
        giving = states.count("ok")
        words = [f"{giving} of {len(parts)} sources give frames, {_figure(rate)} a second."]
        for state in ("failed", "lost", "stalled"):
            found = (part for part, its in zip(parts, states, strict=True) if its == state)
            words += [f"{state.capitalize()}: {part.name}." for part in found]
        bad = (sink for part in parts for sink in part.outputs() if sink.error)
        words += [f"Output {sink.name}: {sink.error}" for sink in bad]
        # Every source hears of the same bundles.
        refused = dict.fromkeys(part.refused for part in parts if part.refused)
        words += [f"A bundle was refused: {reason}" for reason in refused]
        # A line break would start another kind of message.
        return " ".join(" ".join(words).split())

    def _notify(self, kind: str, words: str = "") -> None:
        assert self._send is not None
        self._send(kind, words)


class _WatchedSource(Sink):
    """State of one source."""

    def __init__(
        self, manager: ServiceManager, outputs: Callable[[], Sequence[SinkHealth]]
    ) -> None:
        from edgekit.media.activity import SourceActivity

        self._manager = manager
        self.outputs = outputs
        self.activity = SourceActivity()
        self._info: RunInfo | None = None
        self._last = 0.0
        self.frames = 0
        self.refused: str | None = None
        self.ended = False

    @property
    def name(self) -> str:
        """Name of the source, for messages."""
        return self._info.source if self._info else ""

    @property
    def connected(self) -> bool:
        """Whether the source is connected, as far as is known."""
        return self.activity.health.connected

    @property
    def settled(self) -> bool:
        """Whether the source is known to give frames or to be lost."""
        return bool(self.frames) or self.ended or not self.connected

    def flows(self, now: float, limit: float) -> bool:
        """Returns whether the frames of this source flow without a stall."""
        if self.ended or self._info is None:
            return True
        health = self.activity.health
        # After a reconnect, the first frame gets the full time limit again.
        waited = now - max(self._last, health.since)
        return not health.connected or waited < self._info.patience(limit)

    def start(self, info: RunInfo) -> None:
        """Registers the start of the source."""
        self._info, self._last = info, time.monotonic()
        self.activity.start(info)
        self._manager.begin()

    def frame(self, result: FrameResult) -> None:
        """Records that a frame has arrived."""
        self.frames, self._last = self.frames + 1, time.monotonic()
        self.activity.frame(result)

    def bundle(self, change: BundleChange) -> None:
        """Stores the reason why the newest bundle was refused; None if it runs."""
        self.refused = change.error

    def end(self, summary: RunSummary) -> None:
        """Registers the end of the source."""
        self.activity.end(failed=summary.error is not None)
        self.close()

    def close(self) -> None:
        """Registers the end of the source, even after an error."""
        self.ended = True
        self.activity.end()
        self._manager.end_if_all_have()


def _figure(rate: float) -> str:
    """Returns a rate with at least two digits: a slow source has less than one frame a second."""
    return f"{rate:.2g}" if rate < 10 else f"{rate:.0f}"


def _sender() -> Callable[[str, str], None] | None:
    """Returns a function that sends a message; warns and returns None without the library."""
    try:
        from cysystemd import daemon
    except ImportError:
        missing = MissingDependencyError.for_extra("cysystemd", "systemd", "NOTIFY_SOCKET")
        _LOG.warning(
            "%s Without it, a systemd unit with Type=notify never becomes ready. %s",
            missing.message,
            missing.hint,
        )
        return None

    def send(kind: str, words: str) -> None:
        value: Any = words or None
        # A service manager that has gone is no reason to end the run.
        daemon.notify(daemon.Notification[kind], value)

    # The library would warn at each message that nobody listens.
    daemon.log.setLevel(logging.CRITICAL)
    return send


def _watchdog_seconds() -> float | None:
    """Returns the watchdog interval in seconds; None if this process has no watchdog."""
    micros, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not micros.isdecimal() or int(micros) == 0 or process not in ("", str(os.getpid())):
        return None
    return int(micros) / 1e6
