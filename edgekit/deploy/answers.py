"""Defines what the program on a device answers; other values are refused as they arrive."""

from __future__ import annotations

import msgspec

__all__ = [
    "BenchAnswer",
    "DoctorAnswer",
    "FactsAnswer",
    "FailedAnswer",
    "Output",
    "ReleaseAnswer",
    "ServiceAnswer",
    "VerdictAnswer",
]

_LATEST = 1 << 40
"""Latest time that a calendar shows everywhere, in seconds since 1970."""


# Many attributes: one for each fact that the device reports.
class FactsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a device, as ``edgekit.deploy.on_device.facts`` collects them."""

    python: tuple[int, int, int]
    venv: bool
    machine: str
    bits: int
    system: str
    libc: tuple[str, str]
    node: str
    user: str
    time: float
    root: str
    free: int
    unwritable: str
    tegra: bool


class ReleaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a release, see ``edgekit.deploy.on_device.releases.ReleaseFacts``.

    All have their defaults if there is no such release.
    """

    number: int | None = None
    bundle: str = ""
    sha256: str = ""
    extras: tuple[str, ...] = ()
    health: str = ""
    service: str = "none"


class VerdictAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a trial, see ``edgekit.deploy.on_device.trial.TrialResult``."""

    passed: bool
    words: str
    rate: float | None


# Many attributes: one for each fact that the table of services shows.
class ServiceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A service of a device, with its current release and its health."""

    name: str
    number: int
    bundle: str
    sha256: str
    edgekit: str
    created: int
    level: str
    rate: float | None
    words: str
    trial: bool

    def __post_init__(self) -> None:
        if not 0 <= self.created < _LATEST:
            raise ValueError(f"a release was made at {self.created}")


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Output of a command of EdgeKit on a device."""

    status: int
    out: str
    errors: str
    program: str


class FailedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Error of a command of EdgeKit, as it prints it in JSON."""

    message: str = "it gives no reason"
    hint: str = ""


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    runs: bool
    missing: list[str] = []
    install: list[str] = []


class DoctorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Part of what ``edgekit doctor`` prints: whether each target runs."""

    targets: list[_Target]


class _Figures(msgspec.Struct, frozen=True, kw_only=True):
    p50: float


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    overall: _Figures


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    result: _Result | None = None
    error: FailedAnswer | None = None


class BenchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Part of what ``edgekit bench`` prints: the time of each row, or why it has none."""

    rows: list[_Row]
