"""Builds the status messages of a run, which ``edgekit fleet`` collects."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import msgspec

import edgekit
from edgekit._printable import printable_json
from edgekit.media.activity import SourceActivity
from edgekit.media.sinks.health import SinkHealth
from edgekit.media.sinks.mqtt._link import STATUS_SECONDS
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import RunInfo

__all__ = ["RunStatus", "now_text"]


class RunStatus:
    """State of one source of a run, as JSON; safe to use from several threads.

    Args:
        run: Identifier of the run.
        facts: Function that returns the target and the runtime of the bundle that runs, by name.
        outputs: Function that returns the health of the source's outputs.

    Attributes:
        activity: Activity of the source, which the caller updates.
        dropped: Number of messages that were dropped, by kind; the caller sets it.
    """

    def __init__(
        self,
        run: str,
        facts: Callable[[], Mapping[str, str]],
        outputs: Callable[[], Sequence[SinkHealth]],
    ) -> None:
        self.activity = SourceActivity()
        self.dropped: Mapping[str, int] = {}
        self._run = run
        self._facts = facts
        self._outputs = outputs
        self._source = ""
        self._bundle: dict[str, str] = {}
        self._refused: str | None = None

    def start(self, info: RunInfo) -> None:
        """Stores source and bundle of the run that begins."""
        self._source = info.source
        self._bundle = {"name": info.bundle, "sha256": info.bundle_sha256}
        self.activity.start(info)

    def bundle(self, change: BundleChange) -> None:
        """Stores the bundle that runs, or the reason why another one was refused."""
        self._refused = change.error
        if change.error is None:
            self._bundle = {"name": change.name, "sha256": change.sha256}

    @property
    def running(self) -> Mapping[str, str]:
        """Name and SHA-256 of the bundle that runs."""
        return self._bundle

    @property
    def news(self) -> tuple[object, ...]:
        """Values that cause a new message at once if they change."""
        return self.activity.status, self._bundle, self._refused, self._failing()

    def online(self) -> bytes:
        """Returns the message of a connected run."""
        activity = self.activity
        age, taken = activity.age, activity.taken
        figures: dict[str, Any] = {
            "health": activity.status,
            "rate": round(activity.rate, 2),
            **({} if age is None else {"age": round(age, 1)}),
            **({} if taken is None else {"taken": round(taken, 4)}),
            "failing": self._failing(),
            **({} if self._refused is None else {"refused": self._refused}),
            "every": STATUS_SECONDS,
        }
        return self._message("online", figures)

    def offline(self, reason: str, error: str | None = None) -> bytes:
        """Returns the message of a run that is gone: ``ended``, ``failed`` or ``lost``.

        Args:
            reason: Reason in a word.
            error: Error that ended the run; None without one.
        """
        return self._message("offline", {"reason": reason, **({"error": error} if error else {})})

    def _failing(self) -> list[str]:
        return [sink.name for sink in self._outputs() if sink.error]

    def _message(self, state: str, more: Mapping[str, object]) -> bytes:
        content = {
            "state": state,
            **more,
            "run": self._run,
            "source": self._source,
            "date": now_text(),
            "dropped": self.dropped,
            "host": socket.gethostname(),
            "edgekit": edgekit.__version__,
            "bundle": self._bundle,
            **self._facts(),
        }
        return printable_json(msgspec.json.encode(content))


def now_text() -> str:
    """Returns the date and time in UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
