"""The fastest setting of a bundle on this machine, found by measuring, for ``edgekit run``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import msgspec

from edgekit._files import atomic_file
from edgekit.benchmarks.compare import SURE, shift_p_value
from edgekit.benchmarks.machine import describe_machine
from edgekit.benchmarks.report import Report, Row, Tuned
from edgekit.benchmarks.rows import Plan
from edgekit.bundle import Bundle
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import TARGETS

__all__ = ["PROFILE", "threads_to_try", "tuned_options", "write_profiles"]

PROFILE = "profile.json"
"""Beside the manifest; it belongs to the machine and not to the bundle."""

Arithmetic = Literal["f32", "f16", "bf16"]

_SCHEMA = 1
_LOSS = 0.005
"""Of frame-mAP, that a faster setting may cost."""


class _Profile(msgspec.Struct, kw_only=True):
    schema: int = _SCHEMA
    bundle_sha256: str
    processor: str
    architecture: str
    cores: int
    runtime: str
    threads: int
    arithmetic: Arithmetic | None


def threads_to_try() -> tuple[int, ...]:
    """What the runtime chooses by itself, then powers of two up to all cores."""
    cores = describe_machine().cores
    powers = [1 << power for power in range(cores.bit_length())]
    return (0, *dict.fromkeys([*powers, cores]))


def write_profiles(report: Report, plans: Sequence[Plan]) -> list[Tuned]:
    """Writes the best setting of each bundle beside its manifest.

    That is the fastest one, if it is surely faster than the default one and costs no accuracy
    that was measured; else the default one.

    Args:
        report: Of these plans.
        plans: Whose rows are those of the report.

    Raises:
        OutputError: A bundle's folder cannot be written to.
    """
    places: dict[Path, list[int]] = {}
    for place, plan in enumerate(plans):
        if plan.row.result is not None:
            places.setdefault(plan.bundle, []).append(place)
    tuned = []
    for folder, candidates in places.items():
        usual = next((place for place in candidates if _is_default(plans[place].row)), None)
        best = _best({place: plans[place].row for place in candidates}, usual)
        path = folder / PROFILE
        with atomic_file(path) as temporary:
            temporary.write_bytes(msgspec.json.encode(_profile(report, plans[best].row)))
        tuned.append(Tuned(row=best, default=usual, file=str(path)))
    return tuned


def _is_default(row: Row) -> bool:
    return (row.runtime, row.threads, row.arithmetic) == (TARGETS[row.target].runtimes[0], 0, None)


def _best(rows: dict[int, Row], usual: int | None) -> int:
    def time(place: int) -> float:
        result = rows[place].result
        return result.overall.p50 if result else math.inf

    fit = [p for p in rows if usual is None or p == usual or _beats(rows[p], rows[usual])]
    return min(fit, key=time)


def _beats(row: Row, usual: Row) -> bool:
    """Whether a row is as accurate as the default one, and its rounds are not of the same times."""
    if row.result is None or usual.result is None:
        return False
    if (row.runtime, row.arithmetic) != (usual.runtime, usual.arithmetic):
        found, before = row.result.accuracy, usual.result.accuracy
        if not found or not before or found.frame_map < before.frame_map - _LOSS:
            return False
    times, before_times = ([lap.p50 for lap in r.rounds] for r in (row.result, usual.result))
    return shift_p_value(before_times, times) <= SURE


def _profile(report: Report, row: Row) -> _Profile:
    return _Profile(
        bundle_sha256=row.sha256,
        processor=report.machine.processor,
        architecture=report.machine.architecture,
        cores=report.machine.cores,
        runtime=row.runtime,
        threads=row.threads,
        arithmetic=cast("Arithmetic | None", row.arithmetic),
    )


def tuned_options(bundle: Bundle, options: SessionOptions) -> SessionOptions:
    """The options of a bundle's profile, where it is of this machine and nothing was asked for.

    Args:
        bundle: What is going to run.
        options: What was asked for.

    Returns:
        ``options``, if it differs from the default, or there is no profile of this bundle and
        machine.
    """
    if options != SessionOptions(cache=options.cache):
        return options
    try:
        profile = msgspec.json.decode((bundle.path / PROFILE).read_bytes(), type=_Profile)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return options
    machine = describe_machine()
    made_for = (profile.bundle_sha256, profile.processor, profile.architecture, profile.cores)
    here = (bundle.sha256, machine.processor, machine.architecture, machine.cores)
    if profile.schema != _SCHEMA or made_for != here:
        return options
    return replace(
        options,
        runtime=profile.runtime,
        threads=profile.threads,
        arithmetic=profile.arithmetic,
    )
