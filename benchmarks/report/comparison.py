"""Tests whether rows became slower since an earlier report."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from edgekit._parameters import parameter
from edgekit.benchmarks.report.figures import is_noisy
from edgekit.benchmarks.report.report import Change, FootageInfo, Report, RowResult
from edgekit.errors import BadInputError
from edgekit.measuring.machine import Machine

__all__ = ["LEAST_ROUNDS", "NOT_JUDGED", "SURE", "check_comparable", "compare", "shift_p_value"]

LEAST_ROUNDS = 4
"""Smallest number of rounds: with fewer on each side, any difference may be chance."""

SURE = 0.05
"""Largest p-value at which a difference counts."""

NOT_JUDGED = "not judged"
"""Verdict if the machine was too noisy, and the beginning of the note about it."""

_MOST_SPLITS, _BLOCK = 20_000, 1000
_NAMED = 8


def check_comparable(
    earlier: Report, path: Path, machine: Machine, footage: FootageInfo, frames: int
) -> None:
    """Raises unless a new report could be compared with an earlier one.

    Args:
        earlier: Earlier report.
        path: Path of the earlier report.
        machine: This machine.
        footage: Footage that is about to be played.
        frames: Number of its frames to measure.

    Raises:
        BadInputError: The earlier report has another machine, other footage or another part of it.
    """
    if not machine.same_as(earlier.machine):
        was = earlier.machine
        raise BadInputError(
            f"{path} was measured on another machine: {was.processor}, {was.cores} cores; this one "
            f"is {machine.processor}, {machine.cores} cores.",
            hint="Measure both on one machine; or compare nevertheless: "
            f"{parameter('force', True)}",
        )
    if (earlier.footage, earlier.frames) != (footage, frames):
        was_played = earlier.footage
        raise BadInputError(
            f"{path} was measured on {earlier.frames} frames of {was_played.name}, "
            f"{was_played.width}x{was_played.height}; now it is {frames} frames of {footage.name}, "
            f"{footage.width}x{footage.height}.",
            hint=f"Measure both on the same {parameter('source')} and {parameter('frames')}; or "
            f"compare nevertheless: {parameter('force', True)}",
        )


def compare(report: Report, earlier: Report, path: Path, limit: float | None) -> list[Change]:
    """Compares each row of a report with that row in an earlier report.

    A row is slower or faster if a two-sided rank-sum test (Mann and Whitney) on the medians of its
    rounds says so; the test is exact or uses random splits. A slower row is a regression if the
    median of those medians also grew by more than ``limit``. If the machine was too noisy during
    one of the reports, no row gets a verdict. The test knows how rounds of one report differ, but
    not what disturbed a whole report.

    Args:
        report: New report.
        earlier: Earlier report.
        path: Path of the earlier report.
        limit: Accepted growth as a share of the earlier time; None looks for no regressions.

    Raises:
        BadInputError: No row was measured, or the reports have no row in common.
    """
    noisy = is_noisy(report) or is_noisy(earlier)
    old = {row.key: row.result for row in earlier.rows if row.result}
    changes = []
    for place, row in enumerate(report.rows):
        if row.result is None:
            continue
        before = old.get(row.key)
        if before is None:
            changes.append(Change(row=place, verdict="new"))
        else:
            changes.append(_change(place, before, row.result, limit, noisy=noisy))
    if not changes:
        raise BadInputError(
            "None of the bundles could be measured on this machine, and only its rows are compared "
            f"with {path}.",
            hint=f"Leave out {parameter('compare')}.",
        )
    if all(change.verdict == "new" for change in changes):
        labels = [row.label for row in earlier.rows if row.result and not row.host]
        more = "; ..." if len(labels) > _NAMED else ""
        raise BadInputError(
            f"{path} has none of the rows that were measured now; it has: "
            f"{'; '.join(labels[:_NAMED]) or 'none'}{more}.",
            hint="Measure the same bundles, runtimes and threads.",
        )
    return changes


def _change(
    place: int, old: RowResult, new: RowResult, limit: float | None, *, noisy: bool
) -> Change:
    before, after = ([lap.p50 for lap in result.rounds] for result in (old, new))
    ratio = statistics.median(after) / statistics.median(before)
    p = shift_p_value(before, after)
    verdict = "same" if p > SURE else "slower" if ratio > 1 else "faster"
    verdict = NOT_JUDGED if noisy else verdict
    both = [name for name in new.stages if name in old.stages]
    moved = {name: new.stages[name].p50 - old.stages[name].p50 for name in both}
    stage = max(both, key=lambda name: abs(moved[name]), default="")
    return Change(
        row=place,
        verdict=verdict,
        before=old.overall.p50,
        after=new.overall.p50,
        ratio=round(ratio, 4),
        p=round(p, 4),
        stage=f"{stage} {moved[stage]:+.2f}" if stage else "",
        operator=_operator_moved(old, new),
        regression=limit is not None and verdict == "slower" and ratio > 1 + limit,
    )


def _operator_moved(old: RowResult, new: RowResult) -> str | msgspec.UnsetType:
    """Returns the type of operators whose time moved most, and that layer of it; else unset."""
    if not old.operators or not new.operators:
        return msgspec.UNSET
    types: dict[str, float] = {}
    layers: dict[tuple[str, str], float] = {}
    for sign, times in ((-1, old.operators), (1, new.operators)):
        for operator in times.operators:
            types[operator.type] = types.get(operator.type, 0.0) + sign * operator.ms
            key = (operator.type, operator.name)
            layers[key] = layers.get(key, 0.0) + sign * operator.ms
    kind = max(types, key=lambda name: abs(types[name]), default="")
    if not kind:
        return msgspec.UNSET
    _, layer = max((key for key in layers if key[0] == kind), key=lambda key: abs(layers[key]))
    return f"{kind} {types[kind]:+.2f}, most in {layer} {layers[kind, layer]:+.2f}"


def shift_p_value(before: Sequence[float], after: Sequence[float]) -> float:
    """Returns the chance that a random split of all values has rank sums this far apart.

    Args:
        before: Values of the earlier report, at least one.
        after: Values of this report, at least one.

    Returns:
        A p-value in (0, 1]: exact if there are few splits, otherwise from 20,000 random ones.
    """
    values = np.array([*before, *after])
    ranks = np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])
    count, total = len(before), len(values)
    middle = count * (total + 1) / 2
    observed = abs(ranks[:count].sum() - middle) - 1e-9
    if math.comb(total, count) <= _MOST_SPLITS:
        splits = np.array(list(itertools.combinations(range(total), count)))
        return float((abs(ranks[splits].sum(1) - middle) >= observed).mean())
    chance, far = np.random.default_rng(0), 0
    for first in range(0, _MOST_SPLITS, _BLOCK):
        keys = chance.random((min(_BLOCK, _MOST_SPLITS - first), total))
        order = keys.argpartition(count - 1, 1)[:, :count]
        far += int((abs(ranks[order].sum(1) - middle) >= observed).sum())
    return (far + 1) / (_MOST_SPLITS + 1)
