"""What ``edgekit bench`` and its workers tell each other, a JSON line each.

A worker gets a ``Job`` and answers ``Ready``; then a ``Lap`` to each ``Play``, and a ``Judged`` to
a ``Judge``, and a ``Loaded`` to a ``Load``. ``Failed`` answers anything.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from edgekit.benchmarks.report import Accuracy, Failure, LoadPoint
from edgekit.errors import EdgeKitError, MediaError

__all__ = [
    "LEAST",
    "SETTLE",
    "Failed",
    "Job",
    "Judge",
    "Judged",
    "Lap",
    "Load",
    "Loaded",
    "Play",
    "Ready",
    "Reply",
    "Request",
    "failure_of",
    "pass_length",
    "too_short",
]

SETTLE = 5
"""Frames of each pass that do not count at its start: caches are cold and the cascade begins."""

LEAST = 10
"""Frames that have to count in a pass."""


def pass_length(counted: int) -> int:
    """Frames of a pass in which ``counted`` count; the last does not, for all tubes end there."""
    return SETTLE + counted + 1


def too_short(source: str, frames: int) -> MediaError:
    """The error for footage in which too few frames would count."""
    return MediaError(
        f"{source} has {frames} frames; {pass_length(LEAST)} are the least to measure on, of which "
        f"{pass_length(0)} warm up and wind down.",
        mend="Name longer footage: edgekit bench --source FILE",
    )


def failure_of(error: EdgeKitError) -> Failure:
    """An error, for a report."""
    return Failure(kind=type(error).__name__, message=error.message, mend=error.mend)


class _Message(msgspec.Struct, tag=True, kw_only=True):
    pass


class Job(_Message):
    """What to measure.

    Attributes:
        overlap: As ``edgekit run`` does it with a file, in several threads and with as many frames
            in the network at once; else one stage after the other.
        begun: ``time.monotonic()`` when the worker was started, which is the same in all processes;
            ``Worker`` fills it in.
    """

    bundle: str
    source: str
    frames: int
    runtime: str
    threads: int
    arithmetic: str | None
    overlap: bool = False
    begun: float = 0.0


class Play(_Message):
    """Run the pipeline over the footage once."""


class Judge(_Message):
    """Measure the accuracy on the annotated videos below ``root``."""

    root: str


class Load(_Message):
    """Measure what drops cost, on the annotated videos below ``root``."""

    root: str


class Ready(_Message):
    """The first frame is done and the times are steady, or will not become so."""

    first_frame: float
    version: str
    device: str
    arithmetic: str
    warm_up: int
    steady: bool


class Lap(_Message):
    """One pass.

    Attributes:
        stages: Milliseconds of each stage, for each frame that counts.
        seconds: Of the frames that count, on the clock.
        cpu_seconds: Likewise, of all threads.
        whole_cpu_seconds: Of the whole pass.
        passed: Frames of the whole pass.
        peak_memory: Bytes, so far.
    """

    stages: list[list[float]]
    seconds: float
    cpu_seconds: float
    whole_cpu_seconds: float
    passed: int
    peak_memory: int | None


class Judged(_Message):
    """The accuracy."""

    accuracy: Accuracy


class Loaded(_Message):
    """Accuracy and age of frames where the board is too slow."""

    points: list[LoadPoint]


class Failed(_Message):
    """There will be no more answers."""

    failure: Failure


Request: TypeAlias = Job | Play | Judge | Load
Reply: TypeAlias = Ready | Lap | Judged | Loaded | Failed
