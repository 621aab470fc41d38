"""What ``edgekit bench`` found, as it stands in its JSON; ``docs/bench.md`` explains each field.

Milliseconds, seconds, bytes, joules; shares from 0 to 1. ``None`` stands for what was not measured.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from edgekit.errors import BadInputError

__all__ = [
    "PAPER",
    "SCHEMA",
    "Accuracy",
    "Change",
    "Failure",
    "Figures",
    "Footage",
    "LoadAccuracy",
    "LoadPoint",
    "Machine",
    "Report",
    "Result",
    "Round",
    "Row",
    "Tuned",
    "read_report",
]

SCHEMA = 1

PAPER = {"cascade": 5.0, "network": 16.4, "decode + link": 2.5, "overall": 23.9}
"""KORSAL's own milliseconds a frame, on its authors' desktop GPU: 41.8 frames a second."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured.

    Machines differ by ``processor``, ``architecture``, ``cores`` and ``cpu_quota``, in cores.
    """

    processor: str
    architecture: str
    cores: int
    memory_gib: float | None
    system: str
    governor: str | None
    python: str
    packages: dict[str, str]
    cpu_quota: float | None = None

    def same_as(self, other: Machine) -> bool:
        """Whether times of the two can be compared."""
        return (self.processor, self.architecture, self.cores, self.cpu_quota) == (
            other.processor,
            other.architecture,
            other.cores,
            other.cpu_quota,
        )


class Footage(msgspec.Struct, frozen=True, kw_only=True):
    """What was played."""

    name: str
    width: int
    height: int
    frames: int | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds a frame: the median over the rounds of each round's percentile.

    ``spread`` is what the rounds' p50 differ by at most, as a share of ``p50``.
    """

    p50: float
    p90: float
    p99: float
    spread: float


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the footage, and what the machine did meanwhile."""

    p50: float
    stages: dict[str, float]
    fps: float
    cpu_seconds: float
    frame_ms: list[float]
    joules: float | None = None
    others: float | None = None
    steal: float | None = None
    mhz: float | None = None
    celsius: float | None = None
    throttled: int | None = None


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Against a truth; from 0 to 1."""

    frame_map: float
    video_map: dict[str, float]
    videos: int
    frames: int


class LoadAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """What a board that takes one of ``every`` frames gets right; from 0 to 1.

    ``frame_map_full`` is that of the same frames in a run that takes each.
    """

    every: int
    frames: int
    taken: int
    frame_map: float
    frame_map_full: float
    video_map: dict[str, float]


class LoadPoint(LoadAccuracy, frozen=True, kw_only=True):
    """That, and how old frames are at inference, in milliseconds."""

    age_p50: float
    age_longest: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a row came to."""

    version: str
    device: str
    arithmetic: str
    stages: dict[str, Figures]
    overall: Figures
    paper: dict[str, float]
    fps: float
    cpu_seconds: float
    peak_memory: int | None
    first_frame: float
    joules: float | None
    warm_up: int
    steady: bool
    outliers: float
    rounds: list[Round]
    accuracy: Accuracy | None = None
    under_load: list[LoadPoint] = []


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a row has no result, and what mends it; ``kind`` is a name of ``edgekit.errors``."""

    kind: str
    message: str
    mend: str


class Row(msgspec.Struct, kw_only=True):
    """One bundle on one runtime in one setting: ``result`` or ``error`` is there."""

    bundle: str
    sha256: str
    target: str
    precision: str
    input: tuple[int, int]
    cascade: str
    size: int
    runtime: str
    threads: int
    arithmetic: str | None
    result: Result | None = None
    error: Failure | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same row in another report."""
        return (self.bundle, self.runtime, self.threads, self.arithmetic)

    @property
    def label(self) -> str:
        """For people."""
        words = [self.bundle, self.runtime]
        words += [f"{self.threads} thread{'s' * (self.threads > 1)}"] if self.threads else []
        words += [self.arithmetic] if self.arithmetic else []
        return ", ".join(words)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A row against the same row of an earlier report.

    ``p`` is the chance of rounds as far apart as these if nothing had changed; ``verdict`` is
    ``slower``, ``faster``, ``same``, ``not judged`` where the machine was too noisy in one of the
    reports, or ``new`` where the earlier report lacks the row.
    """

    row: int
    verdict: str
    before: float | None = None
    after: float | None = None
    ratio: float | None = None
    p: float | None = None
    stage: str | None = None
    regression: bool = False


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """The row whose setting ``edgekit run`` takes from now on, and the one it took before."""

    row: int
    default: int | None
    file: str


class Report(msgspec.Struct, kw_only=True):
    """All of it."""

    schema: int = SCHEMA
    created: str
    machine: Machine
    footage: Footage
    frames: int
    energy: str
    rows: list[Row]
    notes: list[str] = []
    compared_with: str | None = None
    changes: list[Change] = []
    tuned: list[Tuned] = []
    interrupted: bool = False


def read_report(path: Path, *, any_schema: bool = False) -> Report:
    """Reads what ``edgekit bench --json`` printed.

    Args:
        path: The file.
        any_schema: Try it with a report of another schema, too.

    Raises:
        BadInputError: It is not there, is no report, or is one of another schema.
    """
    mend = "Write one: edgekit bench --json > FILE"
    try:
        text = path.read_bytes()
        raw = msgspec.json.decode(text)
    except OSError as error:
        raise BadInputError(f"Cannot read {path}: {error.strerror}.", mend=mend) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} is not JSON: {error}.", mend=mend) from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA and not any_schema:
        raise BadInputError(
            f"{path} is not a report of schema {SCHEMA}: its schema is {schema}.", mend=mend
        )
    try:
        report = msgspec.convert(raw, Report)
        _check_times(report)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInputError(f"{path} is not a report of edgekit bench: {error}.", mend=mend) from (
            error
        )
    return report


def _check_times(report: Report) -> None:
    for row in report.rows:
        for time in [lap.p50 for lap in row.result.rounds] if row.result else ():
            if not 0 < time < math.inf:
                raise ValueError(f"{row.label} has a round of {time} ms")
