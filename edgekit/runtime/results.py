"""What the pipeline hands to its sinks, and at the end to its caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from edgekit.runtime.clocks import StageTimes
from edgekit.runtime.selection import pairwise_iou, select
from edgekit.runtime.tubes import LiveTube
from edgekit.runtime.types import Detections, Frame

__all__ = [
    "INTENDED",
    "FrameResult",
    "Gap",
    "GateSummary",
    "RunInfo",
    "RunSummary",
    "SourceHealth",
    "one_per_actor",
]

_SAME_ACTOR = 0.6

INTENDED = ("fps", "still")
"""Reasons of gaps whose frames were left out on purpose."""


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source does.

    Attributes:
        connected: Whether it gives frames.
        since: Since when, in seconds of ``time.monotonic``.
        reconnects: How often it was lost and came back.
        error: Why it is not connected.
        fps: Frames a second that it declares at present; 0 where that is what ``RunInfo`` says.
    """

    connected: bool = True
    since: float = 0.0
    reconnects: int = 0
    error: str | None = None
    fps: float = 0.0


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known when a run begins.

    Attributes:
        source: Name of the source.
        width: Pixels of its pictures; 0 where the source cannot tell before the first one.
        height: As ``width``.
        fps: Frames a second that the source declares, or that are assumed.
        frames: How many there will be; None where the source cannot tell.
        classes: Names, by class index.
        bundle: Name of the bundle that runs.
        bundle_sha256: Of the bundle's manifest.
        score: Detections and tubes count from this score up.
        sample_aspect: Width of a pixel over its height.
        health: Tells how the source does at present; may be called from any thread.
        longest_step: Seconds between two frames at most, where frames are left out on purpose; 0
            where none are.
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
        """Frames a second that the source declares at present."""
        return self.health().fps or self.fps

    def seen(self, frame: Frame) -> RunInfo:
        """The same run with what a frame tells, where the source could not tell it before."""
        if self.width and self.height:
            return self
        height, width = frame.image.shape[:2]
        aspect = frame.sample_aspect
        return replace(self, width=width, height=height, fps=self.present_fps, sample_aspect=aspect)


@dataclass(frozen=True, slots=True)
class Gap:
    """A break in the stream before a frame.

    Attributes:
        index: Of the frame after the break.
        reason: ``dropped``, ``reconnect``, ``resize`` or ``seek``; ``fps`` where frames were left
            out on purpose, by a cap, and ``still`` where nothing moved in them.
        frames: How many frames are missing before ``index`` for this reason; can be 0.
    """

    index: int
    reason: str
    frames: int

    @property
    def intended(self) -> bool:
        """Whether the frames were left out because somebody wanted it so."""
        return self.reason in INTENDED


@dataclass(frozen=True, eq=False)
class FrameResult:
    """All that is known of one frame.

    Attributes:
        frame: As the source gave it.
        detections: All that the detector found.
        tubes: Those that are alive and sure enough to be shown.
        ms: Milliseconds of each stage before ``emit``.
        age: Milliseconds from the reading of the frame to the start of its inference; None where
            the source is not live.
        score: Detections and tubes count from this score up.
    """

    frame: Frame
    detections: Detections
    tubes: Sequence[LiveTube]
    ms: Mapping[str, float] = field(default_factory=dict)
    age: float | None = None
    score: float = 0.3

    @cached_property
    def actors(self) -> list[LiveTube]:
        """The tubes to draw: of several on one actor the best, observed before extrapolated."""
        return one_per_actor(self.tubes)

    def chosen(self) -> list[tuple[list[float], int, float]]:
        """Box, class and score of the detections that count, selected by class, best first."""
        # What does not count suppresses nothing that does.
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
    """What a motion gate has learnt.

    Attributes:
        threshold: Changes of so many of 255 levels were noise, the median over the picture; None
            where nothing was learnt.
        wakes: How often motion ended a rest.
    """

    threshold: float | None
    wakes: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to.

    Attributes:
        frames: Frames that went through the detector.
        dropped: Frames of the source that were lost, or came too fast.
        seconds: On the clock, from the first frame asked for to the last result handed out.
        stages: Times by stage name.
        interrupted: Whether somebody ended it before the source did.
        age: Of the frames at inference, as in ``FrameResult``; None where the source is not live.
        skipped: Frames that were left out on purpose, by the reason of their gaps.
        motion_gate: What a gate has learnt; None where there was none.
        away: Why a live source gave nothing when the run ended; None where it did.
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

    @property
    def fps(self) -> float:
        """Frames a second, all stages included."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0


def one_per_actor(tubes: Sequence[LiveTube], overlap: float = _SAME_ACTOR) -> list[LiveTube]:
    """Of tubes whose boxes overlap by more than ``overlap`` (IoU) only the best, of any class.

    Observed ones come before extrapolated ones, then higher scores before lower ones.
    """
    ranked = sorted(tubes, key=lambda tube: (not tube.observed, -tube.score))
    if len(ranked) < 2:
        return ranked
    same = pairwise_iou(np.array([tube.box for tube in ranked])) > overlap
    kept: list[int] = []
    for place in range(len(ranked)):
        if not same[place, kept].any():
            kept.append(place)
    return [ranked[place] for place in kept]
