"""Holds the state of a sink, which the report, the metrics and the live page show."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from edgekit._printable import printable
from edgekit.errors import EdgeKitError
from edgekit.system.shortage import shortage_of

__all__ = ["HealthRecord", "SinkHealth"]

_LOG = logging.getLogger(__name__)
_QUIET_SECONDS = 600.0
_LATE = "It did not end in time."
_SLOW = "It is slower than the source."


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """State of a sink.

    Attributes:
        name: Name given to ``QueuedSink``.
        written: Number of frames, gaps and tubes that the sink wrote.
        lost: Number of frames, gaps and tubes that the sink did not write.
        error: Present problem, as a sentence; None if there is none. It stays until something has
            been written again; after a full queue, until the queue is empty.
        last_error: Latest problem, even if the sink has recovered since.
        codec: Name of the video codec; None if the sink writes no video.
    """

    name: str
    written: int
    lost: int
    error: str | None = None
    codec: str | None = None
    last_error: str | None = None


# Many attributes: counts, the present problem, and what the log has of it.
class HealthRecord:
    """Counts what a sink writes and loses, and logs its problems; the caller holds a lock.

    Args:
        name: Name of the sink, for messages.

    Attributes:
        written: Number of frames, gaps and tubes given to the sink without an error.
        lost: Number of frames, gaps and tubes that did not reach the sink, or failed there.
        error: Present problem, as a sentence; None if there is none.
    """

    def __init__(self, name: str) -> None:
        self.written = 0
        self.lost = 0
        self.error: str | None = None
        self._name = name
        self._last_error: str | None = None
        self._stored: int | None = None
        self._logged = float("-inf")
        self._has_warned = False
        self._is_behind = self._is_abandoned = False
        self._has_warned_of_slowness = False

    def log(self, error: Exception) -> None:
        """Logs a problem; needs no lock, as a log may block.

        Only the first problem in ten minutes is a warning: a full disk fails at each attempt.
        """
        now = time.monotonic()
        is_new, self._logged = now - self._logged > _QUIET_SECONDS, now
        self._has_warned |= is_new
        level = logging.WARNING if is_new else logging.INFO
        _LOG.log(level, "%s: %s The run goes on without it.", self._name, _sentence(error))

    def log_recovery(self) -> None:
        """Logs that the problem of a warning is over, if it is; needs no lock."""
        if self._has_warned and self.error is None:
            self._has_warned = False
            _LOG.warning("%s: It works again.", self._name)

    def failed(self, error: Exception, stored: int | None) -> None:
        """Records a problem; ``stored`` is the sink's number of completed writes."""
        self.error = self._last_error = _sentence(error)
        self._stored = stored

    def recovered(self, stored: int | None) -> bool:
        """Ends the problem and returns True if something was written since it occurred."""
        if stored is not None and self._stored is not None and stored <= self._stored:
            return False
        self.error = None
        return True

    def dropped(self) -> None:
        """Counts a call that did not fit into the queue."""
        self.lost += 1
        self._is_behind = True
        if not (self._has_warned_of_slowness or self.error):
            self._has_warned_of_slowness = True
            _LOG.warning(
                "%s is slower than the source. EdgeKit drops the frames that do not fit "
                "into its queue, and counts them.",
                self._name,
            )

    def caught_up(self) -> None:
        """Records that the sink has handled all waiting calls."""
        self._is_behind = False

    def late(self) -> None:
        """Records that the sink is abandoned, because it does not end in time."""
        self.error = self.error or _LATE
        self._is_abandoned = True

    def in_time(self) -> None:
        """Records that the sink has ended after all."""
        self.error = None if self.error == _LATE else self.error
        self._is_abandoned = False

    def lose_all(self) -> None:
        """Counts all that was written as lost, because the result will not appear."""
        self.written, self.lost = 0, self.lost + self.written

    def health(
        self, dropped: int, pending: int, trouble: str | None, codec: str | None
    ) -> SinkHealth:
        """Returns the state, with what the sink itself reports."""
        written = max(0, self.written - dropped - pending)
        lost = self.lost + dropped + (pending if self._is_abandoned else 0)
        present = self.error or trouble or (_SLOW if self._is_behind else None)
        # Names of files may have bytes that are not UTF-8, which JSON could not hold.
        error, last = (
            text and printable(text, lines=True) for text in (present, present or self._last_error)
        )
        return SinkHealth(self._name, written, lost, error, codec, last)


def _sentence(error: Exception) -> str:
    known = error if isinstance(error, EdgeKitError) else shortage_of(error)
    text = known.message if known else str(error) or repr(error)
    return text if text.endswith(".") else f"{text}."
