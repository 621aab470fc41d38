"""Defines the messages between ``edgekit bench`` and its workers, one JSON line each.

A worker gets a ``Job`` and answers ``Ready``. Then it answers ``Lap`` to each ``Play``,
``AccuracyReply`` to an ``AccuracyRequest``, ``Loaded`` to a ``Load`` and ``Profiled`` to a
``ProfileRequest``. ``Failed`` may answer any request.
"""

from __future__ import annotations

import json
from typing import TypeAlias

import msgspec

from edgekit.benchmarks.report.report import Accuracy, LoadPoint, RowFailure
from edgekit.errors import EdgeKitError, MediaError
from edgekit.measuring.operator_times import OperatorTimes

__all__ = [
    "LEAST",
    "SETTLE",
    "AccuracyReply",
    "AccuracyRequest",
    "Failed",
    "Job",
    "Lap",
    "Load",
    "Loaded",
    "Play",
    "ProfileRequest",
    "Profiled",
    "Ready",
    "Reply",
    "Request",
    "failure_of",
    "from_line",
    "pass_length",
    "to_line",
    "too_short",
]

SETTLE = 5
"""Frames at the start of each pass that do not count: caches are cold, the cascade starts."""

LEAST = 10
"""Smallest number of frames that must count in a pass."""


def pass_length(counted: int) -> int:
    """Returns the length of a pass in which ``counted`` frames count.

    The last frame does not count, because all tubes end there.
    """
    return SETTLE + counted + 1


def too_short(source: str, frames: int) -> MediaError:
    """Returns the error for footage in which too few frames would count."""
    return MediaError(
        f"{source} has {frames} frames; a measurement needs at least {pass_length(LEAST)}, because "
        f"it does not count the first {SETTLE} and the last.",
        hint="Name longer footage: edgekit bench --source FILE",
    )


def failure_of(error: EdgeKitError) -> RowFailure:
    """Returns an error in the form of a report."""
    return RowFailure(code=error.code, message=error.message, hint=error.hint)


class _Message(msgspec.Struct, tag=True, kw_only=True):
    pass


def to_line(message: _Message) -> bytes:
    """Returns a message as a line. It is ASCII, because paths may have bytes that are no UTF-8."""
    return json.dumps(msgspec.to_builtins(message)).encode() + b"\n"


def from_line(line: bytes, kind: object) -> object:
    """Returns the message of one of the types ``kind`` that a line holds."""
    return msgspec.convert(json.loads(line), kind)


class Job(_Message):
    """A measurement to prepare.

    Attributes:
        overlap: Whether stages overlap, as in ``edgekit run`` on a file: several threads, and as
            many frames in the network at once. Otherwise the stages run one after the other.
        begun: Value of ``time.monotonic()`` at the worker's start, which is the same clock in all
            processes; ``Worker`` sets it.
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
    """Request to run the pipeline over the footage once."""


class AccuracyRequest(_Message):
    """Request to measure the accuracy on the annotated videos below ``root``."""

    root: str


class Load(_Message):
    """Request to measure the cost of dropped frames, on the annotated videos below ``root``."""

    root: str


class ProfileRequest(_Message):
    """Request to measure the operators of the model."""


class Ready(_Message):
    """The first frame is finished and the times are steady, or will not become steady."""

    first_frame: float
    version: str
    device: str
    arithmetic: str
    warm_up: int
    steady: bool


class Lap(_Message):
    """Measurements of one pass.

    Attributes:
        stages: Milliseconds of each stage, for each frame that counts.
        seconds: Wall-clock seconds of the frames that count.
        cpu_seconds: CPU seconds of all threads for the frames that count.
        whole_cpu_seconds: CPU seconds of the whole pass.
        passed: Number of frames in the whole pass.
        peak_memory: Largest memory use so far, in bytes.
    """

    stages: list[list[float]]
    seconds: float
    cpu_seconds: float
    whole_cpu_seconds: float
    passed: int
    peak_memory: int | None


class AccuracyReply(_Message):
    """Result of a ``AccuracyRequest``: the accuracy."""

    accuracy: Accuracy


class Loaded(_Message):
    """Result of a ``Load``: accuracy and frame age on boards that are too slow."""

    points: list[LoadPoint]


class Profiled(_Message):
    """Result of a ``ProfileRequest``: times of the operators, or the reason why there are none."""

    operators: OperatorTimes | None
    reason: str = ""


class Failed(_Message):
    """The worker failed and sends no more answers."""

    failure: RowFailure


Request: TypeAlias = Job | Play | AccuracyRequest | Load | ProfileRequest
Reply: TypeAlias = Ready | Lap | AccuracyReply | Loaded | Profiled | Failed
