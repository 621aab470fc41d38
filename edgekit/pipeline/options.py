"""Defines the options of a pipeline that stay fixed during a run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from edgekit.pipeline.reading.sampling import Sampling

__all__ = ["PipelineOptions"]


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """Fixed options of a run, named like the arguments of ``Pipeline``.

    Attributes:
        latest: Whether only the newest frame is kept.
        sampling: Selection of the frames to process; None for all.
    """

    bundle: tuple[str, str]
    latest: bool
    realtime: bool
    duration: float
    max_frames: float
    patience: float
    sampling: Sampling | None
    overlap: bool
    lanes: int
    turn: contextlib.AbstractContextManager[object]
