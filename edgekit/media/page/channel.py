"""Stores what the page shows of one source: the run's thread writes, the server's reads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from edgekit.media.activity import NO_RUN, SourceActivity
from edgekit.media.drawing.text import colour_of
from edgekit.media.page.timeline import Timeline
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.pipeline.stage_timer import STAGES
from edgekit.runtime.types import Tube

if TYPE_CHECKING:
    from edgekit.media.sinks.health import SinkHealth

__all__ = ["Channel", "ChannelHealth", "Snapshot"]

_RECENT = 150


# Many attributes: one for each key of the JSON that the page reads.
class ChannelHealth(TypedDict):
    """Health of a source, in JSON form.

    Attributes:
        source: Name of the source.
        status: ``ok``, ``starting``, ``stalled``, ``lost``, ``ended`` or ``failed``.
        bundle: Name and SHA-256 of the bundle, and why the newest other bundle was refused.
        seconds_since_frame: Seconds since the newest frame.
        frames: Number of frames so far.
        dropped: Number of frames that were lost, or came too fast.
        rate: Frames per second of the last seconds.
        gaps: Number of breaks in the stream, by their reason.
        connected: Whether the source gives frames.
        reconnects: Number of times that the source was lost and came back.
        error: Reason why the source is not connected, or the error that ended it.
        sinks: Name, counts and errors of each sink.
    """

    source: str
    status: str
    bundle: dict[str, str | None]
    seconds_since_frame: float
    frames: int
    dropped: int
    rate: float
    gaps: dict[str, int]
    connected: bool
    reconnects: int
    error: str | None
    sinks: list[dict[str, object]]


class Snapshot(NamedTuple):
    """A frame of a channel, with its number.

    Attributes:
        number: Number of the frame within the channel, from 1.
        result: Result of the frame.
    """

    number: int
    result: FrameResult


# Many attributes: everything that the page shows of a run, under one lock.
class Channel(Sink):
    """Keeps the newest state of one run. Each call takes microseconds and never waits.

    Args:
        sinks: Function that returns the health of the run's other sinks.
        clock: Function that returns seconds, such as ``time.monotonic``.

    Attributes:
        on_frame: Function called in the run's thread after each frame; it must not wait.
    """

    def __init__(
        self,
        sinks: Callable[[], Sequence[SinkHealth]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_frame: Callable[[], None] = lambda: None
        self._sinks = sinks
        self._clock = clock
        self._lock = threading.Lock()
        self._info: RunInfo | None = None
        self._timeline = Timeline(1.0)
        self._newest: Snapshot | None = None
        self._began = clock()
        self._activity = SourceActivity(clock)
        self._ended = ""
        self._error: str | None = None
        self._refused: str | None = None
        self._hellos = 1
        self._dropped = 0
        self._broken: dict[str, int] = {}
        self._stages: dict[str, deque[float]] = {}

    @property
    def newest(self) -> Snapshot | None:
        """Newest frame; None before the first."""
        return self._newest

    @property
    def hellos(self) -> int:
        """Number of different results of ``hello`` so far."""
        return self._hellos

    @property
    def has_begun(self) -> bool:
        """Whether the run has begun."""
        return self._info is not None

    def start(self, info: RunInfo) -> None:
        """Stores the description of the run that begins."""
        with self._lock:
            self._info = info
            self._timeline = Timeline(info.fps)
            self._began = self._clock()
            self._activity.start(info)

    def gap(self, gap: Gap) -> None:
        """Counts missing frames."""
        with self._lock:
            if not gap.intended:
                self._dropped += gap.frames
                self._broken[gap.reason] = self._broken.get(gap.reason, 0) + 1
            if gap.reason == "reconnect" and self._info is not None:
                fps = self._info.present_fps
                self._hellos += fps != self._timeline.fps
                self._timeline.fps = fps
            self._timeline.gap(gap)

    def frame(self, result: FrameResult) -> None:
        """Replaces the newest frame."""
        with self._lock:
            number = self._newest.number + 1 if self._newest else 1
            self._newest = Snapshot(number, result)
            self._activity.frame(result)
            for stage, milliseconds in result.ms.items():
                self._stages.setdefault(stage, deque(maxlen=_RECENT)).append(milliseconds)
            self._timeline.frame(result)
        self.on_frame()

    def bundle(self, change: BundleChange) -> None:
        """Stores the bundle that runs from now on, or the reason why another one was refused."""
        with self._lock:
            self._refused = change.error
            if self._info is None or change.error is not None:
                return
            if change.classes != self._info.classes:
                self._timeline = Timeline(self._timeline.fps)
            self._info = replace(
                self._info,
                bundle=change.name,
                bundle_sha256=change.sha256,
                classes=change.classes,
            )
            self._hellos += 1

    def tube(self, tube: Tube) -> None:
        """Completes a tube of the timeline."""
        with self._lock:
            self._timeline.tube(tube)

    def end(self, summary: RunSummary) -> None:
        """Records how the run ended."""
        self._error = summary.error
        how = "interrupted" if summary.interrupted else "over"
        self._finish("failed" if summary.error else how)

    def close(self) -> None:
        """Records that the run failed, unless it has ended before."""
        self._finish("failed")

    def _finish(self, how: str) -> None:
        with self._lock:
            self._ended = self._ended or how
            self._activity.end(failed=how == "failed")

    def health(self) -> ChannelHealth:
        """Returns the health of the source."""
        # Before the lock, for which the run must not wait: a sink on a slow disk may take long.
        sinks = self._sinks()
        with self._lock:
            source = self._activity.health
            return {
                "source": self._info.source if self._info else "",
                "status": self._activity.status,
                "bundle": self._bundle_json(),
                "seconds_since_frame": round(self._activity.seconds_since_frame, 1),
                "frames": self._newest.number if self._newest else 0,
                "dropped": self._dropped,
                "rate": round(self._activity.rate, 2),
                "gaps": dict(self._broken),
                "connected": source.connected,
                "reconnects": source.reconnects,
                "error": self._error or source.error,
                "sinks": [
                    {
                        "name": s.name,
                        "written": s.written,
                        "lost": s.lost,
                        "error": s.error,
                        "last_error": s.last_error,
                    }
                    for s in sinks
                ],
            }

    def brief(self) -> dict[str, object]:
        """Returns what viewers of other sources see of this source."""
        with self._lock:
            return {
                "source": self._info.source if self._info else "",
                "status": self._activity.status,
                "tubes": 0 if self._ended else self._timeline.alive,
            }

    def hello(self) -> dict[str, object]:
        """Returns what rarely changes during a run: only with the bundle or the declared rate."""
        with self._lock:
            info = self._info or NO_RUN
        return {
            "type": "hello",
            "source": info.source,
            "size": [info.width, info.height],
            "fps": info.present_fps,
            "step": info.longest_step,
            "frames": info.frames,
            "bundle": info.bundle,
            "classes": info.classes,
            "colours": [_css(label) for label in range(len(info.classes))],
        }

    def state(self) -> dict[str, object]:
        """Returns what changes slowly enough to be sent a few times per second."""
        health = self.health()
        with self._lock:
            recent = {
                stage: np.percentile(list(values), (50, 90)).round(3).tolist()
                for stage, values in self._stages.items()
            }
            return {
                "type": "state",
                **health,
                "ended": self._ended,
                "uptime": round(self._clock() - self._began, 1),
                "stages": {stage: recent[stage] for stage in STAGES if stage in recent},
                **self._timeline.to_json(),
            }

    def _bundle_json(self) -> dict[str, str | None]:
        info = self._info or NO_RUN
        return {"name": info.bundle, "sha256": info.bundle_sha256, "refused": self._refused}


def _css(label: int) -> str:
    blue, green, red = colour_of(label)
    return f"#{red:02x}{green:02x}{blue:02x}"
