"""Builds tables of the time of operators: by type of operator, and by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.benchmarks.report.report import Report
from edgekit.measuring.operator_times import OperatorTime, OperatorTimes
from edgekit.measuring.peak import Peak
from edgekit.reporting.grid import Grid

__all__ = ["OperatorGroup", "groups_of", "operator_grids", "profile_grids"]

_LAYERS = 10
_FIGURES = ("ms", "share", "MMAC", "MB", "of peak", "limit")


@dataclass(frozen=True, slots=True)
class OperatorGroup:
    """Operators that are counted together.

    Attributes:
        name: What they have in common.
        operators: The operators.
    """

    name: str
    operators: Sequence[OperatorTime]

    @property
    def ms(self) -> float:
        """Milliseconds of all of them in one inference."""
        return sum(operator.ms for operator in self.operators)

    @property
    def work(self) -> tuple[int, int] | None:
        """Multiply-adds and bytes of all of them; None if those of one are not known."""
        known = [(o.macs, o.bytes) for o in self.operators]
        macs = [macs for macs, _ in known if macs is not None]
        moved = [moved for _, moved in known if moved is not None]
        return (sum(macs), sum(moved)) if len(macs) == len(moved) == len(known) else None

    def share_of_peak(self, peak: Peak) -> float | None:
        """Returns the least time that the peak allows, as a share of the time; None if unknown."""
        known = [(o.macs, o.bytes) for o in self.operators]
        if self.work is None or self.ms <= 0:
            return None
        return sum(peak.least_ms(macs or 0, moved or 0) for macs, moved in known) / self.ms


def groups_of(times: OperatorTimes) -> list[OperatorGroup]:
    """Returns the operators by their type, the type with the most time first."""
    types: dict[str, list[OperatorTime]] = {}
    for operator in times.operators:
        types.setdefault(operator.type, []).append(operator)
    groups = [OperatorGroup(name, operators) for name, operators in types.items()]
    return sorted(groups, key=lambda group: -group.ms)


def operator_grids(report: Report) -> list[Grid]:
    """Returns two tables for each row that has operators; none if no row has."""
    grids = []
    for number, row in enumerate(report.rows, 1):
        if row.result and row.result.operators:
            grids += profile_grids(
                row.result.operators, report.peak_of(row), f"row {number}, {row.runtime}"
            )
    return grids


def profile_grids(times: OperatorTimes, peak: Peak | None, what: str) -> list[Grid]:
    """Returns a table by type of operator, and one of the slowest layers.

    Args:
        times: Times of the operators.
        peak: Peak of the machine with as many threads; None leaves out shares of it.
        what: What was measured, for the titles.
    """
    types = [
        [group.name, str(len(group.operators)), *_cells(group, times, peak)]
        for group in groups_of(times)
    ]
    outside = f"{times.outside_ms:.3f}", f"{100 * times.outside_ms / times.profiled_ms:.1f}%"
    blank = [""] * (len(_FIGURES) - 2)
    types += [
        ["outside operators", "", *outside, *blank],
        ["all", str(len(times.operators)), f"{times.profiled_ms:.3f}", "100.0%", *blank],
    ]
    slowest = sorted(times.operators, key=lambda operator: -operator.ms)[:_LAYERS]
    layers = [
        [_layer(operator), *_cells(OperatorGroup("", [operator]), times, peak)]
        for operator in slowest
    ]
    roofs = ""
    if peak is not None:
        threads = f"{peak.threads} thread{'s' * (peak.threads > 1)}"
        roofs = (
            f". The peak with {threads} is {peak.gmacs:g} GMAC/s in float32, {peak.gbytes:g} GB/s"
        )
    return [
        Grid(
            f"time by type of operator, {what}: an inference takes {times.session_ms:.2f} ms, "
            f"{times.profiled_ms:.2f} ms with the profiler{roofs}",
            ("operator", "layers", *_FIGURES),
            types,
            wrapped=(0,),
        ),
        Grid(
            f"the {len(layers)} slowest layers, {what}",
            ("layer", *_FIGURES),
            layers,
            wrapped=(0,),
        ),
    ]


def _layer(operator: OperatorTime) -> str:
    """Returns the name of a layer and its type, between which a line may break."""
    return f"{operator.name.partition('/')[0]} {operator.type}"


def _cells(group: OperatorGroup, times: OperatorTimes, peak: Peak | None) -> list[str]:
    ms, share = group.ms, f"{100 * group.ms / times.profiled_ms:.1f}%"
    if group.work is None:
        return [f"{ms:.3f}", share, *("not reported" for _ in _FIGURES[2:4]), "", ""]
    macs, moved = group.work
    found = group.share_of_peak(peak) if peak else None
    limit = ""
    if peak and found is not None:
        limit = "compute" if peak.is_bound_by_compute(macs, moved) else "memory"
    return [
        f"{ms:.3f}",
        share,
        f"{macs / 1e6:.1f}" if macs else "",
        f"{moved / 1e6:.2f}",
        "" if found is None else f"{100 * found:.0f}%",
        limit,
    ]
