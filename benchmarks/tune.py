"""Finds the fastest setting of a bundle on this machine by measuring, for ``edgekit run``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import msgspec

from edgekit.benchmarks.report.comparison import SURE, shift_p_value
from edgekit.benchmarks.report.report import Report, Row, TunedSetting
from edgekit.benchmarks.rows import RowPlan
from edgekit.files.checksums import keep_file
from edgekit.files.output_paths import writing
from edgekit.measuring.machine import describe_machine
from edgekit.targets.choices import Arithmetic
from edgekit.targets.profile import PROFILE, Profile
from edgekit.targets.registry import TARGETS

__all__ = ["threads_to_try", "write_profiles"]

_LOSS = 0.005
"""Largest loss of frame-mAP that a faster setting may have."""


def threads_to_try() -> tuple[int, ...]:
    """Returns the runtime's own choice (0), then powers of two up to all cores."""
    cores = describe_machine().cores
    powers = [1 << power for power in range(cores.bit_length())]
    return (0, *dict.fromkeys([*powers, cores]))


def write_profiles(report: Report, plans: Sequence[RowPlan]) -> list[TunedSetting]:
    """Writes the best setting of each bundle beside its manifest.

    That is the fastest setting, if it is certainly faster than the default and loses no measured
    accuracy. Otherwise it is the default.

    Args:
        report: Report on these plans.
        plans: Plans whose rows are those of the report.

    Raises:
        OutputError: A bundle's folder is not writable.
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
        profile = _profile(report, plans[best].row)
        with writing(path):
            keep_file(path, msgspec.json.encode(profile), profile.bundle_sha256)
        tuned.append(TunedSetting(row=best, default=usual, file=str(path)))
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
    """Returns whether a row is as accurate as the default, and certainly faster by its rounds."""
    if row.result is None or usual.result is None:
        return False
    if (row.runtime, row.arithmetic) != (usual.runtime, usual.arithmetic):
        found, before = row.result.accuracy, usual.result.accuracy
        if not found or not before or found.frame_map < before.frame_map - _LOSS:
            return False
    times, before_times = ([lap.p50 for lap in r.rounds] for r in (row.result, usual.result))
    return shift_p_value(before_times, times) <= SURE


def _profile(report: Report, row: Row) -> Profile:
    return Profile(
        bundle_sha256=row.sha256,
        processor=report.machine.processor,
        architecture=report.machine.architecture,
        cores=report.machine.cores,
        runtime=row.runtime,
        threads=row.threads,
        arithmetic=cast("Arithmetic | None", row.arithmetic),
    )
