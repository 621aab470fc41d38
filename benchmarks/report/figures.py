"""Computes the numbers of the report (times, rates, noise) from what the workers measured."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from edgekit._printable import plural
from edgekit.benchmarks.protocol import Lap, Ready
from edgekit.benchmarks.report.report import Accuracy, Figures, LoadPoint, Report, Round, RowResult
from edgekit.measuring.machine import Conditions
from edgekit.measuring.operator_times import OperatorTimes
from edgekit.pipeline.stage_timer import STAGES
from edgekit.runtime.types import Array

__all__ = ["NOISY", "Measured", "is_noisy", "make_result", "noise_of"]

NOISY = 0.05
"""Largest spread of a row's rounds, as a share, at which small differences still count."""

_OUTLIER = 2.0
_OUTLIERS = 0.01
_OTHERS = 0.10
_STEAL = 0.02
_FALLEN = 0.9
_HOT = 85.0
_DISTORTED = 0.05

Measured = tuple[Lap, Conditions, "float | None"]
"""One pass, the machine's conditions during it, and its joules."""


def make_result(
    ready: Ready,
    measured: Sequence[Measured],
    accuracy: Accuracy | None = None,
    under_load: Sequence[LoadPoint] = (),
    operators: OperatorTimes | None = None,
) -> RowResult:
    """Returns the result of a row.

    Args:
        ready: First message of the worker.
        measured: Measured rounds, at least one.
        accuracy: Accuracy, if it was requested.
        under_load: Accuracy and frame age under load, if they were requested.
        operators: Times of the operators, if they were requested.
    """
    laps = [np.array(lap.stages) for lap, _, _ in measured]
    stages = {
        stage: _figures([lap[:, column] for lap in laps]) for column, stage in enumerate(STAGES)
    }
    sums = [lap.sum(axis=1) for lap in laps]
    overall = _figures(sums)
    everything = np.concatenate(sums)
    joules = [spent / lap.passed for lap, _, spent in measured if spent is not None]
    return RowResult(
        version=ready.version,
        device=ready.device,
        arithmetic=ready.arithmetic,
        stages=stages,
        overall=overall,
        paper=_paper(laps),
        fps=round(statistics.median(len(lap.stages) / lap.seconds for lap, _, _ in measured), 2),
        cpu_seconds=round(
            statistics.median(lap.cpu_seconds / len(lap.stages) for lap, _, _ in measured), 6
        ),
        peak_memory=measured[-1][0].peak_memory,
        first_frame=round(ready.first_frame, 3),
        joules=round(statistics.median(joules), 4) if len(joules) == len(measured) else None,
        warm_up=ready.warm_up,
        steady=ready.steady,
        outliers=round(float((everything > _OUTLIER * np.median(everything)).mean()), 4),
        rounds=[_round(one, total) for one, total in zip(measured, sums, strict=True)],
        accuracy=accuracy,
        under_load=list(under_load),
        operators=msgspec.UNSET if operators is None else operators,
    )


def _figures(rounds: Sequence[Array]) -> Figures:
    percentiles = np.array([np.percentile(times, (50, 90, 99)) for times in rounds])
    p50, p90, p99 = np.median(percentiles, axis=0).round(4).tolist()
    spread = float(np.ptp(percentiles[:, 0])) / p50 if p50 > 0 else 0.0
    return Figures(p50=p50, p90=p90, p99=p99, spread=round(spread, 4))


def _paper(laps: Sequence[Array]) -> dict[str, float]:
    """Returns the medians of the stages that the paper counts: neither capture nor emit."""
    column = {stage: place for place, stage in enumerate(STAGES)}

    def median(*names: str) -> float:
        places = [column[name] for name in names]
        return round(float(np.median([np.median(lap[:, places].sum(1)) for lap in laps])), 4)

    return {
        "cascade": median("cascade"),
        "network": median("network"),
        "decode + link": median("decode", "link"),
        "overall": median("cascade", "network", "decode", "link"),
    }


def _round(measured: Measured, sums: Array) -> Round:
    lap, conditions, joules = measured
    medians = np.median(np.array(lap.stages), axis=0).round(4).tolist()
    return Round(
        p50=round(float(np.median(sums)), 4),
        stages=dict(zip(STAGES, medians, strict=True)),
        fps=round(len(lap.stages) / lap.seconds, 2),
        cpu_seconds=round(lap.cpu_seconds / len(lap.stages), 6),
        frame_ms=sums.round(3).tolist(),
        joules=None if joules is None else round(joules, 4),
        others=_rounded(conditions.others),
        steal=_rounded(conditions.steal),
        mhz=conditions.mhz,
        celsius=conditions.celsius,
        throttled=conditions.throttled,
    )


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def noise_of(report: Report) -> list[str]:
    """Returns sentences about what makes the figures uncertain; none if nothing does."""
    results = {row.label: row.result for row in report.rows if row.result}
    notes, widest = _disturbances(report)
    if notes or widest > NOISY:
        consequence = "another run may differ by more" if notes else "less means nothing"
        differ = f"rounds of the same thing differ by up to {100 * widest:.1f}%, and {consequence}"
        if all(len(result.rounds) == 1 for result in results.values()):
            differ = "another run may differ, and one round does not show by how much"
        notes.append(f"The machine is too noisy for small differences: {differ}.")
    return notes + _row_notes(results)


def is_noisy(report: Report) -> bool:
    """Returns whether the machine was too noisy for small differences, as in ``noise_of``."""
    notes, widest = _disturbances(report)
    return bool(notes) or widest > NOISY


def _disturbances(report: Report) -> tuple[list[str], float]:
    """Returns what disturbed the machine, and the largest spread between rounds of a row.

    Rows of other devices are left out: they have clock rates and loads of their own.
    """
    results = [row.result for row in report.rows if row.result and not row.host]
    notes = _machine_notes([lap for result in results for lap in result.rounds])
    return notes, max((result.overall.spread for result in results), default=0.0)


def _machine_notes(rounds: Sequence[Round]) -> list[str]:
    notes = []
    others = [lap.others for lap in rounds if lap.others is not None]
    if others and statistics.mean(others) > _OTHERS:
        share = 100 * statistics.mean(others)
        notes.append(f"Other processes had {share:.0f}% of the processor meanwhile.")
    steal = [lap.steal for lap in rounds if lap.steal is not None]
    if steal and statistics.mean(steal) > _STEAL:
        share = 100 * statistics.mean(steal)
        notes.append(f"The hypervisor gave {share:.0f}% of the processor to other machines.")
    clocks = [lap.mhz for lap in rounds if lap.mhz]
    if clocks and min(clocks) < _FALLEN * max(clocks):
        notes.append(
            f"The processor's clock went between {min(clocks):.0f} and {max(clocks):.0f} MHz."
        )
    heat = max((lap.celsius for lap in rounds if lap.celsius is not None), default=0.0)
    if heat >= _HOT:
        notes.append(f"The machine is hot: {heat:.0f} degrees Celsius.")
    slowed = sum(lap.throttled or 0 for lap in rounds)
    if slowed:
        notes.append(
            f"Heat or a quota slowed the processor down {slowed} {plural('time', slowed)}."
        )
    return notes


def _row_notes(results: Mapping[str, RowResult]) -> list[str]:
    notes = []
    for label, result in results.items():
        if not result.steady:
            notes.append(f"{label}: not steady after {result.warm_up} frames of warm-up.")
        if result.outliers > _OUTLIERS:
            notes.append(
                f"{label}: {100 * result.outliers:.1f}% of the frames took over twice the median."
            )
        if result.operators:
            notes += _profile_notes(label, result.operators)
    return notes


def _profile_notes(label: str, times: OperatorTimes) -> list[str]:
    change = times.profiled_ms / times.session_ms - 1
    if abs(change) <= _DISTORTED:
        return []
    return [
        f"{label}: with the profiler an inference took {times.profiled_ms:.2f} ms instead of "
        f"{times.session_ms:.2f}; read the operators' times as shares."
    ]
