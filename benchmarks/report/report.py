"""Defines the JSON report of ``edgekit bench``; ``docs/bench.md`` explains each field.

Units are milliseconds, seconds, bytes and joules; shares are from 0 to 1. ``None`` stands for
values that were not measured.
"""

from __future__ import annotations

import msgspec

from edgekit.measuring.machine import Machine
from edgekit.measuring.operator_times import OperatorTimes
from edgekit.measuring.peak import Peak

__all__ = [
    "PAPER",
    "SCHEMA",
    "Accuracy",
    "Change",
    "Figures",
    "FootageInfo",
    "LoadAccuracy",
    "LoadPoint",
    "MeasuredDevice",
    "Report",
    "Round",
    "Row",
    "RowFailure",
    "RowResult",
    "TunedSetting",
]

SCHEMA = 2

PAPER = {"cascade": 5.0, "network": 16.4, "decode + link": 2.5, "overall": 23.9}
"""KORSAL's published milliseconds per frame, on a desktop GPU: 41.8 frames per second."""


class FootageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The footage that was played."""

    name: str
    width: int
    height: int
    frames: int | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds per frame: the median over the rounds of each round's percentile.

    ``spread`` is the largest difference between the p50 of two rounds, as a share of ``p50``.
    """

    p50: float
    p90: float
    p99: float
    spread: float


# Many attributes: it mirrors a round in the report's JSON file, one for one.
class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One pass over the footage, and the machine's conditions during it."""

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
    """Accuracy against ground truth; values are from 0 to 1."""

    frame_map: float
    video_map: dict[str, float]
    videos: int
    frames: int


class LoadAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Accuracy on a board that processes one of ``every`` frames; values are from 0 to 1.

    ``frame_map_full`` is the frame-mAP on these frames in a run that processes all frames.
    """

    every: int
    frames: int
    taken: int
    frame_map: float
    frame_map_full: float
    video_map: dict[str, float]


class LoadPoint(LoadAccuracy, frozen=True, kw_only=True):
    """Accuracy under load, and the age of frames at inference, in milliseconds."""

    age_p50: float
    age_longest: float


# Many attributes: it mirrors a row's result in the report's JSON file, one for one.
class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a row."""

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
    operators: OperatorTimes | msgspec.UnsetType = msgspec.UNSET


class RowFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Reason why a row has no result, and a hint; ``code`` is that of a class in ``errors``."""

    code: str
    message: str
    hint: str


# Many attributes: it mirrors a row in the report's JSON file, one for one.
class Row(msgspec.Struct, kw_only=True):
    """One bundle on one runtime in one setting; either ``result`` or ``error`` is set."""

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
    result: RowResult | None = None
    error: RowFailure | None = None
    host: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def key(self) -> tuple[object, ...]:
        """Key that identifies this row in another report."""
        return (self.bundle, self.runtime, self.threads, self.arithmetic, self.host)

    @property
    def label(self) -> str:
        """Label for display."""
        words = [f"{self.host}: {self.bundle}" if self.host else self.bundle, self.runtime]
        words += [f"{self.threads} thread{'s' * (self.threads > 1)}"] if self.threads else []
        words += [self.arithmetic] if self.arithmetic else []
        return ", ".join(words)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Comparison of a row with that row in an earlier report.

    ``p`` is the chance of rounds this far apart if nothing had changed. ``verdict`` is ``slower``,
    ``faster`` or ``same``. It is ``not judged`` if the machine was too noisy in one of the reports,
    and ``new`` if the earlier report lacks the row. ``operator`` names the type of operators whose
    time moved most, and the layer, if both reports have operators.
    """

    row: int
    verdict: str
    before: float | None = None
    after: float | None = None
    ratio: float | None = None
    p: float | None = None
    stage: str | None = None
    operator: str | msgspec.UnsetType = msgspec.UNSET
    regression: bool = False


class TunedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """The row whose setting ``edgekit run`` uses from now on, and the previous one."""

    row: int
    default: int | None
    file: str


class MeasuredDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that measured rows; ``error`` is the reason if it measured none."""

    host: str
    created: str = ""
    machine: Machine | None = None
    energy: str = ""
    error: str = ""


# Many attributes: it mirrors the report's JSON file, one for one.
class Report(msgspec.Struct, kw_only=True):
    """The whole report."""

    schema: int = SCHEMA
    created: str
    machine: Machine
    footage: FootageInfo
    frames: int
    energy: str
    rows: list[Row]
    notes: list[str] = []
    compared_with: str | None = None
    changes: list[Change] = []
    tuned: list[TunedSetting] = []
    interrupted: bool = False
    peaks: list[Peak] | msgspec.UnsetType = msgspec.UNSET
    devices: list[MeasuredDevice] | msgspec.UnsetType = msgspec.UNSET

    def machine_of(self, row: Row) -> Machine:
        """Returns the machine that measured a row."""
        machines = {each.host: each.machine for each in self.devices or ()}
        return (machines.get(row.host) if row.host else None) or self.machine

    def peak_of(self, row: Row) -> Peak | None:
        """Returns the peak with as many threads as a row has; None if it was not measured."""
        peaks = sorted(self.peaks or (), key=lambda peak: peak.threads)
        fitting = [peak for peak in peaks if peak.threads == row.threads]
        return next(iter(fitting or peaks[-1:]), None)
