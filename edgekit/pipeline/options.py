"""Defines the options of a pipeline that stay fixed during a run."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

from edgekit._checks import (
    as_flag,
    as_number,
    as_whole,
    check_choice,
    unexpected,
    unless_none,
)
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.pipeline.choices import DROP_POLICIES, DropPolicy
from edgekit.pipeline.protocols import FrameSource
from edgekit.pipeline.reading.motion_gate import MotionGate
from edgekit.pipeline.reading.sampling import FrameRateCap, Sampling

__all__ = ["PipelineOptions", "keeps_newest"]


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """Fixed options of a run, named like the arguments of ``Pipeline``.

    Attributes:
        latest: Whether only the newest frame is kept, as ``keeps_newest`` says.
        gate: Motion gate; None for none.
        sampling: Selection of the frames to process; None for all.
    """

    latest: bool
    realtime: bool
    duration: float
    max_frames: float
    patience: float
    gate: MotionGate | None
    sampling: Sampling | None
    overlap: bool
    lanes: int
    turn: contextlib.AbstractContextManager[object]

    @classmethod
    def of(
        cls,
        source: FrameSource,
        *,
        drop_policy: DropPolicy | None,
        fps: float | None,
        motion_gate: bool,
        realtime: bool,
        duration: float | None,
        max_frames: int | None,
        patience: float,
        overlap: bool,
        lanes: int,
        turn: contextlib.AbstractContextManager[object],
    ) -> PipelineOptions:
        """Returns the options of a run from arguments of ``Pipeline``, which documents them.

        Args:
            source: Source of the run.

        Raises:
            UsageError: An argument has a wrong type or is out of range, or contradicts the source.
        """
        check_choice("drop_policy", drop_policy, DROP_POLICIES)
        realtime = as_flag("realtime", realtime)
        latest = keeps_newest(drop_policy, live=source.live, realtime=realtime)
        gate = MotionGate(source.name) if as_flag("motion_gate", motion_gate) else None
        seconds = unless_none(as_number, "duration", duration, least=0)
        until = math.inf if seconds is None else seconds
        most = unless_none(as_whole, "max_frames", max_frames, least=0)
        cap = None if fps is None else FrameRateCap(as_number("fps", fps))
        own = as_whole("lanes", lanes, least=1)
        if not isinstance(turn, contextlib.AbstractContextManager):
            raise unexpected("turn", "a context manager", turn)
        return cls(
            latest=latest,
            realtime=realtime and not source.live,
            duration=until,
            max_frames=math.inf if most is None else most,
            patience=as_number("patience", patience, least=0),
            gate=gate,
            sampling=Sampling(cap, gate, until=until) if cap or gate else None,
            overlap=as_flag("overlap", overlap),
            lanes=1 if latest else own,
            turn=turn,
        )


def keeps_newest(drop_policy: DropPolicy | None, *, live: bool, realtime: bool) -> bool:
    """Returns whether only the newest frame of a source is kept.

    Args:
        drop_policy: Frames to drop; None for the default of the source.
        live: Whether the source is live.
        realtime: Whether frames of a file are given at their own time.

    Raises:
        UsageError: ``latest`` is given for a source that is neither live nor played in real time.
    """
    if drop_policy == "latest" and not (live or realtime):
        raise UsageError(
            f"{parameter('drop_policy', 'latest')} drops frames that are too old, but "
            "EdgeKit reads a file at its own pace.",
            hint=f"Add {parameter('realtime', True)} to play the file at its own speed, or "
            f"leave out {parameter('drop_policy')}.",
        )
    return drop_policy == "latest" or (drop_policy is None and live)
