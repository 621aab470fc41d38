"""Defines the results of a pipeline: for its sinks in every frame, for its caller at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from edgekit._checks import as_instance, as_number, unexpected, unless_none
from edgekit.linking.published import LiveTube
from edgekit.pipeline.stage_timer import Clock, StageClocks, StageTimes
from edgekit.runtime.iou import pairwise_iou
from edgekit.runtime.selection import select
from edgekit.runtime.types import Detections, Frame

__all__ = [
    "INTENDED",
    "FrameResult",
    "Gap",
    "GateSummary",
    "RunCounts",
    "RunInfo",
    "RunSummary",
    "SourceHealth",
    "one_per_actor",
]

_SAME_ACTOR = 0.6
"""IoU above which the boxes of two tubes are on one actor."""

_FRAMES_MISSED = 20
"""Frame intervals without a frame after which a source counts as stalled."""

INTENDED = ("fps", "still")
"""Reasons of gaps whose frames were left out on purpose."""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """The state of a source.

    Attributes:
        connected: Whether it gives frames.
        since: Time since which this holds, in seconds of ``time.monotonic``.
        reconnects: Number of times that it was lost and came back.
        error: Reason why it is not connected.
        fps: Frames per second that it currently declares; 0 if equal to the rate in ``RunInfo``.
    """

    connected: bool = True
    since: float = 0.0
    reconnects: int = 0
    error: str | None = None
    fps: float = 0.0


# Many attributes: facts of a run, each of which some sink needs.
@dataclass(frozen=True, slots=True)
class RunInfo:
    """Facts that are known when a run begins.

    Attributes:
        source: Name of the source.
        width: Width of its pictures in pixels; 0 if unknown before the first one.
        height: Height of its pictures in pixels; 0 if unknown before the first one.
        fps: Frames per second that the source declares, or an assumed rate.
        frames: Total number of frames; None if the source does not know it.
        classes: Class names, by class index.
        bundle: Name of the bundle that runs.
        bundle_sha256: SHA-256 of the bundle's manifest.
        score: Smallest score of detections and tubes that count.
        sample_aspect: Width of a pixel over its height.
        health: Function that returns the current state of the source; may be called from any
            thread.
        longest_step: Largest number of seconds between two frames, if frames are left out on
            purpose; otherwise 0.
    """

    source: str
    width: int
    height: int
    fps: float
    frames: int | None
    classes: tuple[str, ...]
    bundle: str = ""
    bundle_sha256: str = ""
    score: float = 0.0
    sample_aspect: float = 1.0
    health: Callable[[], SourceHealth] = SourceHealth
    longest_step: float = 0.0

    @property
    def present_fps(self) -> float:
        """Frames per second that the source currently declares."""
        return self.health().fps or self.fps

    def patience(self, least: float) -> float:
        """Returns the seconds without a frame after which a connected source counts as stalled.

        Args:
            least: Seconds that are always allowed. A slow source has 20 intervals of its rate.
                Frames that are left out on purpose add their time.
        """
        return self.longest_step + max(least, _FRAMES_MISSED / max(self.present_fps, 0.01))

    def seen(self, frame: Frame) -> RunInfo:
        """Returns this run with what a frame shows, if the source did not know it before."""
        if self.width and self.height:
            return self
        height, width = frame.image.shape[:2]
        aspect = frame.sample_aspect
        return replace(self, width=width, height=height, fps=self.present_fps, sample_aspect=aspect)


@dataclass(frozen=True, slots=True)
class Gap:
    """A break in the stream before a frame.

    Attributes:
        index: Index of the frame after the break.
        reason: ``dropped``, ``reconnect``, ``resize`` or ``seek``; ``fps`` for frames left out by a
            rate limit, and ``still`` for frames without motion.
        frames: Number of frames missing before ``index`` for this reason; can be 0.
    """

    index: int
    reason: str
    frames: int

    @property
    def intended(self) -> bool:
        """Whether the frames were left out on purpose."""
        return self.reason in INTENDED


@dataclass(frozen=True, eq=False)
class FrameResult:
    """All results of one frame.

    Attributes:
        frame: Frame from the source.
        detections: All detections of the detector.
        tubes: Live tubes that are confirmed and shown.
        ms: Milliseconds of each stage before ``emit``.
        age: Milliseconds from the reading of the frame to the start of its inference; None if the
            source is not live.
        score: Smallest score of detections and tubes that count.

    Raises:
        UsageError: A value has a wrong type.
    """

    frame: Frame
    detections: Detections
    tubes: Sequence[LiveTube]
    ms: Mapping[str, float] = field(default_factory=dict)
    age: float | None = None
    score: float = 0.3

    def __post_init__(self) -> None:
        as_instance("result.frame", self.frame, Frame, "a Frame")
        as_instance("result.detections", self.detections, Detections, "Detections")
        if not isinstance(self.tubes, Sequence):
            raise unexpected("result.tubes", "a sequence of LiveTube", self.tubes)
        if not isinstance(self.ms, Mapping):
            raise unexpected("result.ms", "milliseconds by name of the stage", self.ms)
        unless_none(as_number, "result.age", self.age)
        as_number("result.score", self.score)

    @cached_property
    def actors(self) -> list[LiveTube]:
        """Tubes to draw: the best one per actor, observed before extrapolated."""
        return one_per_actor(self.tubes)

    def chosen(self) -> list[tuple[list[float], int, float]]:
        """Returns box, class and score of the detections that count, by class, best first."""
        # Detections that do not count must not suppress others that do.
        strong = (self.detections.scores >= self.score).any(axis=1)
        found = Detections(self.detections.boxes[strong], self.detections.scores[strong])
        rows = [
            (found.boxes[row].tolist(), label, float(found.scores[row, label]))
            for label, picked in enumerate(select(found))
            for row in picked
            if found.scores[row, label] >= self.score
        ]
        return sorted(rows, key=lambda row: -row[2])


@dataclass(frozen=True, slots=True)
class GateSummary:
    """Report of a motion gate: the noise that it has learnt, and the pauses that motion ended.

    Attributes:
        threshold: Median over the picture of the changes that were noise, in levels of 0 to 255;
            None if nothing was learnt.
        wakes: Number of times that motion ended a pause.
    """

    threshold: float | None
    wakes: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Summary of a run.

    Attributes:
        frames: Number of frames that went through the detector.
        dropped: Number of source frames that were lost, or came too fast.
        seconds: Wall-clock seconds from the first request for a frame to the last result.
        stages: Durations by stage name.
        interrupted: Whether the run was stopped before the source ended.
        age: Age of the frames at inference, in milliseconds; None if the source is not live.
        skipped: Number of frames left out on purpose, by the reason of their gaps.
        motion_gate: What the gate has learnt; None if there was no gate.
        away: Reason why a live source gave nothing when the run ended; None if it did.
        error: Error that ended the run; None without one.
    """

    frames: int
    dropped: int
    seconds: float
    stages: dict[str, StageTimes]
    interrupted: bool = False
    age: StageTimes | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    motion_gate: GateSummary | None = None
    away: str | None = None
    error: str | None = None

    @property
    def fps(self) -> float:
        """Frames per second, all stages included."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(slots=True)
class RunCounts:
    """Counts of a run so far.

    Attributes:
        ages: Ages of frames when their inference began, of a live source.
        interrupted: Whether the run was asked to stop.
    """

    ages: Clock | None
    interrupted: bool = False
    frames: int = 0
    dropped: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    clocks: StageClocks = field(default_factory=StageClocks)

    def gap(self, gap: Gap) -> None:
        """Counts the missing frames of a gap."""
        if gap.intended:
            self.skipped[gap.reason] += gap.frames
        else:
            self.dropped += gap.frames

    def times(self, ms: Mapping[str, float], age: float | None) -> None:
        """Adds a frame's milliseconds in each stage, and its age in milliseconds."""
        self.clocks.add(ms)
        if self.ages is not None and age is not None:
            self.ages.add(age / 1e3)

    def summary(
        self,
        seconds: float,
        *,
        gate: GateSummary | None,
        away: str | None,
        failures: Sequence[BaseException],
    ) -> RunSummary:
        """Returns the summary of a run that has ended."""
        ages = None if self.ages is None else self.ages.times()
        error = next((each for each in failures if isinstance(each, Exception)), None)
        words = getattr(error, "message", None) or (repr(error) if error else None)
        counted = (self.frames, self.dropped, seconds, self.clocks.times(), self.interrupted)
        return RunSummary(*counted, ages, dict(self.skipped), gate, away, words)


def one_per_actor(tubes: Sequence[LiveTube]) -> list[LiveTube]:
    """Returns the best of tubes whose boxes overlap by more than ``_SAME_ACTOR``, of any class.

    Observed tubes come before extrapolated ones, then higher scores before lower ones.
    """
    ranked = sorted(tubes, key=lambda tube: (not tube.observed, -tube.score))
    if len(ranked) < 2:
        return ranked
    same = pairwise_iou(np.array([tube.box for tube in ranked])) > _SAME_ACTOR
    kept: list[int] = []
    for place in range(len(ranked)):
        if not same[place, kept].any():
            kept.append(place)
    return [ranked[place] for place in kept]
