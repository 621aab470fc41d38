"""What ``edgekit bench`` does, from what is asked for to the report."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit.benchmarks.compare import LEAST_ROUNDS, NOT_JUDGED, check_comparable, compare
from edgekit.benchmarks.energy import find_meter
from edgekit.benchmarks.figures import is_noisy
from edgekit.benchmarks.footage import DEMO_NAME, check_footage, write_demo_clip, write_judged_clips
from edgekit.benchmarks.harness import Harness
from edgekit.benchmarks.machine import describe_machine
from edgekit.benchmarks.profile import PROFILE
from edgekit.benchmarks.protocol import pass_length
from edgekit.benchmarks.report import Report, read_report
from edgekit.benchmarks.rows import plan_rows, shipped_bundles
from edgekit.benchmarks.tune import threads_to_try, write_profiles
from edgekit.errors import BadInputError, OutputError
from edgekit.metrics.datasets import read_truth

__all__ = ["run_bench"]


def run_bench(
    bundles: Sequence[Path] = (),
    *,
    source: str | None = None,
    frames: int = 100,
    rounds: int = 5,
    runtimes: Sequence[str] = (),
    threads: Sequence[int] = (),
    arithmetic: Sequence[str] = (),
    accuracy: bool = False,
    under_load: bool = False,
    annotations: Path | None = None,
    energy: str | None = None,
    earlier: Path | None = None,
    fail_over: float | None = None,
    tune: bool = False,
    force: bool = False,
    on_start: Callable[[Harness], contextlib.AbstractContextManager[None]] = (
        lambda harness: contextlib.nullcontext()
    ),
) -> Report:
    """Measures bundles on their runtimes.

    Args:
        bundles: Their folders; by default those that ship with EdgeKit.
        source: A video or a folder of pictures; by default the clip of ``edgekit demo``.
        frames: How many count in each round; fewer where the source has no more.
        rounds: Passes of each row; the rows take turns.
        runtimes: Only these.
        threads: A row for each.
        arithmetic: A row for each.
        accuracy: Measure that too, on rendered clips.
        under_load: Measure accuracy and age of frames of boards that take a share of the frames.
        annotations: Measure accuracies on these annotated videos instead of on rendered clips. Asks
            for ``accuracy`` unless ``under_load`` does.
        energy: A command that prints joules or watts.
        earlier: A report to compare with.
        fail_over: The share of its times by which a row may be slower.
        tune: Write the fastest setting of each bundle beside it. Tries several numbers of threads,
            and judges the accuracy where settings may differ in it.
        force: Compare with another machine, footage or schema too.
        on_start: Makes what holds while it is measured, for example a handler of signals.

    Returns:
        The report. A row that could not be run says why.

    Raises:
        UsageError: The source is live, or no bundle runs on any of ``runtimes``.
        BadInputError: A bundle, the source, the annotations, the command or the earlier report is
            not what it has to be.
        EdgeKitError: No row could be run.
    """
    old = read_report(earlier, any_schema=force) if earlier else None
    plans = plan_rows(
        bundles or shipped_bundles(),
        runtimes=runtimes,
        threads=threads or (threads_to_try() if tune else ()),
        arithmetic=arithmetic,
    )
    if tune and len({(p.row.runtime, p.row.arithmetic) for p in plans}) > 1:
        accuracy = True
    for bundle in sorted({plan.bundle for plan in plans}) if tune else ():
        _refuse_no_profile(bundle)
    meter, energy_is = find_meter(energy)
    if annotations is not None:
        read_truth("json", annotations)  # says now what is wrong with it, and not in the end
    with tempfile.TemporaryDirectory() as place:
        clip = source or str(write_demo_clip(Path(place)))
        footage = check_footage(clip, source or DEMO_NAME)
        if footage.frames is not None:
            frames = min(frames, footage.frames - pass_length(0))
        if old is not None and earlier is not None:
            if fail_over is not None:
                _check_rounds(old, earlier)
            if not force:
                check_comparable(old, earlier, describe_machine(), footage, frames)
        accuracy = accuracy or (annotations is not None and not under_load)
        truth = annotations
        if truth is None and (accuracy or under_load):
            truth = write_judged_clips(Path(place))
        harness = Harness(
            plans,
            clip,
            footage,
            frames=frames,
            rounds=rounds,
            meter=meter,
            energy=energy_is,
            truth=truth if accuracy else None,
            loaded=truth if under_load else None,
        )
        with on_start(harness):
            report = harness.run()
    if old is not None and earlier is not None and not report.interrupted:
        report.changes = compare(report, old, earlier, fail_over)
        report.compared_with = earlier.name
        report.notes += [f"{earlier.name} says: {note}" for note in old.notes]
        if any(change.verdict == NOT_JUDGED for change in report.changes):
            report.notes.append(_not_judged(report, earlier))
    if tune and not report.interrupted:
        report.tuned = write_profiles(report, plans)
    return report


def _not_judged(report: Report, earlier: Path) -> str:
    when = "now" if is_noisy(report) else f"when {earlier.name} was measured"
    return (
        f"{NOT_JUDGED.capitalize()}: the machine was too noisy {when} to tell what became slower "
        "or faster. Measure again on a quiet machine."
    )


def _refuse_no_profile(bundle: Path) -> None:
    """Raises where the fastest setting could not be written beside the bundle."""
    if not os.access(bundle, os.W_OK):
        raise OutputError(
            f"--tune writes {PROFILE} into {bundle}, which may not be written.",
            mend="Copy that folder to a place of your own, and name it: edgekit bench COPY --tune",
        )


def _check_rounds(old: Report, path: Path) -> None:
    rounds = min((len(row.result.rounds) for row in old.rows if row.result), default=0)
    if rounds < LEAST_ROUNDS:
        raise BadInputError(
            f"{path} has {rounds} rounds of each row; a verdict needs {LEAST_ROUNDS}.",
            mend=f"Measure it again with --rounds {LEAST_ROUNDS} or more.",
        )
