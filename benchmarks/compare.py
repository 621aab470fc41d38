"""Whether rows became slower since an earlier report, and how sure that is."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.benchmarks.figures import is_noisy
from edgekit.benchmarks.report import Change, Footage, Machine, Report, Result
from edgekit.errors import BadInputError

__all__ = ["LEAST_ROUNDS", "NOT_JUDGED", "SURE", "check_comparable", "compare", "shift_p_value"]

LEAST_ROUNDS = 4
"""With fewer rounds on each side no difference, however large, could be told from chance."""

SURE = 0.05
"""A difference counts where chance alone would bring it about in no more of the cases."""

NOT_JUDGED = "not judged"
"""The verdict where the machine was too noisy, and what the note that says so begins with."""

_MOST_SPLITS = 20_000


def check_comparable(
    earlier: Report, path: Path, machine: Machine, footage: Footage, frames: int
) -> None:
    """Refuses to compare what cannot be compared.

    Args:
        earlier: The old report.
        path: Where it was read.
        machine: This one.
        footage: What is going to be played.
        frames: How many of it.

    Raises:
        BadInputError: The old report is of another machine, other footage or another part of it.
    """
    if not machine.same_as(earlier.machine):
        was = earlier.machine
        raise BadInputError(
            f"{path} was measured on another machine: {was.processor}, {was.cores} cores; this one "
            f"is {machine.processor}, {machine.cores} cores.",
            mend="Measure both on one machine; or compare nevertheless: --force",
        )
    if (earlier.footage, earlier.frames) != (footage, frames):
        was_played = earlier.footage
        raise BadInputError(
            f"{path} was measured on {earlier.frames} frames of {was_played.name}, "
            f"{was_played.width}x{was_played.height}; now it is {frames} frames of {footage.name}, "
            f"{footage.width}x{footage.height}.",
            mend="Measure both on the same --source and --frames; or compare nevertheless: --force",
        )


def compare(report: Report, earlier: Report, path: Path, limit: float | None) -> list[Change]:
    """Each row of a report against the same row of an earlier one.

    A row is slower or faster where the medians of its rounds say so by a two-sided rank-sum test
    (Mann and Whitney), exact or on random splits; it is a regression where it is slower and the
    median of those medians grew by more than ``limit`` besides. Where the machine was too noisy
    during one of the reports, no row is judged: the test knows how rounds of one report differ, and
    not what disturbed a whole report.

    Args:
        report: The new one.
        earlier: The old one.
        path: Where that was read.
        limit: As a share of the old time; None looks for no regression.

    Raises:
        BadInputError: They have no row in common.
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
    if all(change.verdict == "new" for change in changes):
        raise BadInputError(
            f"{path} has none of the rows that were measured now; it has: "
            f"{'; '.join(row.label for row in earlier.rows if row.result) or 'none'}.",
            mend="Measure the same bundles, runtimes and threads.",
        )
    return changes


def _change(place: int, old: Result, new: Result, limit: float | None, *, noisy: bool) -> Change:
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
        regression=limit is not None and verdict == "slower" and ratio > 1 + limit,
    )


def shift_p_value(before: Sequence[float], after: Sequence[float]) -> float:
    """The chance that a random split of all values has rank sums as far apart as these.

    Args:
        before: Values of the earlier report, one at least.
        after: Values of this report, one at least.

    Returns:
        In (0, 1]: exact where there are few splits, else from 20,000 random ones.
    """
    values = np.array([*before, *after])
    ranks = np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])
    count, total = len(before), len(values)
    middle = count * (total + 1) / 2
    observed = abs(ranks[:count].sum() - middle) - 1e-9
    if math.comb(total, count) <= _MOST_SPLITS:
        splits = np.array(list(itertools.combinations(range(total), count)))
        return float((abs(ranks[splits].sum(1) - middle) >= observed).mean())
    order = np.random.default_rng(0).random((_MOST_SPLITS, total)).argsort(1)[:, :count]
    far = int((abs(ranks[order].sum(1) - middle) >= observed).sum())
    return (far + 1) / (_MOST_SPLITS + 1)
