"""Defines the options of a pipeline that stay fixed during a run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.pipeline.choices import DropPolicy
from edgekit.pipeline.reading.sampling import Sampling

__all__ = ["PipelineOptions", "keeps_newest"]


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """Fixed options of a run, named like the arguments of ``Pipeline``.

    Attributes:
        latest: Whether only the newest frame is kept, as ``keeps_newest`` says.
        sampling: Selection of the frames to process; None for all.
    """

    latest: bool
    realtime: bool
    duration: float
    max_frames: float
    patience: float
    sampling: Sampling | None
    overlap: bool
    lanes: int
    turn: contextlib.AbstractContextManager[object]


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
