"""Measures the rows of a benchmark in worker processes, and returns the report."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit._parameters import parameter
from edgekit._progress import SILENT, Progress
from edgekit.benchmarks.footage import (
    DEMO_NAME,
    check_footage,
    write_annotated_clips,
    write_demo_clip,
)
from edgekit.benchmarks.harness import Harness, HarnessSettings
from edgekit.benchmarks.operators import measure_peaks
from edgekit.benchmarks.options import BenchOptions
from edgekit.benchmarks.protocol import pass_length
from edgekit.benchmarks.report.checks import short_notes
from edgekit.benchmarks.report.comparison import LEAST_ROUNDS, NOT_JUDGED, check_comparable, compare
from edgekit.benchmarks.report.figures import is_noisy
from edgekit.benchmarks.report.reading import read_report
from edgekit.benchmarks.report.report import FootageInfo, Report
from edgekit.benchmarks.rows import RowPlan, plan_rows
from edgekit.benchmarks.tune import threads_to_try, write_profiles
from edgekit.datasets.published import read_truth
from edgekit.errors import BadInputError, OutputError
from edgekit.measuring.energy import find_meter
from edgekit.measuring.machine import describe_machine
from edgekit.targets.profile import PROFILE

__all__ = ["Measuring", "measure"]


Measuring = Callable[[Callable[[], None]], contextlib.AbstractContextManager[None]]
"""Makes the context of the measurement from a function that ends it early."""


def measure(
    options: BenchOptions,
    bundles: Sequence[Path],
    *,
    progress: Progress = SILENT,
    measuring: Measuring = lambda stop: contextlib.nullcontext(),
) -> Report:
    """Measures bundles on their runtimes.

    Args:
        options: Options of the benchmark. Bundles and sweep are not read.
        bundles: Folders of the bundles.
        progress: Display of the progress: one phase.
        measuring: Function that makes the context of the measurement, such as a signal handler.

    Returns:
        The report. A row that could not be run contains the reason.

    Raises:
        UsageError: The source is live, or no bundle runs on any of the runtimes.
        BadInputError: A bundle, the source, the annotations, the command or the earlier report is
            invalid.
        EdgeKitError: No row could be run.
    """
    earlier = options.compare
    old = read_report(earlier, any_schema=options.force) if earlier else None
    plans = _planned(options, bundles)
    accuracy = _wants_accuracy(options, plans)
    meter, energy = find_meter(options.energy)
    truth = options.annotations
    if truth is not None:
        read_truth("json", truth)  # reports errors in it now, and not at the end
    with tempfile.TemporaryDirectory() as place:
        clip = options.source or str(write_demo_clip(Path(place)))
        footage = check_footage(clip, options.source or DEMO_NAME)
        frames = _frames_of_a_round(options, footage)
        if old is not None and earlier is not None:
            _check_earlier(old, earlier, options, footage, frames)
        if truth is None and (accuracy or options.under_load):
            truth = write_annotated_clips(Path(place))
        settings = HarnessSettings(
            source=clip,
            footage=footage,
            frames=frames,
            rounds=options.rounds,
            meter=meter,
            energy=energy,
            truth=truth if accuracy else None,
            loaded=truth if options.under_load else None,
            operators=options.operators,
            elsewhere=bool(options.host),
        )
        harness = Harness(plans, settings)
        harness.on_step = progress.advance
        with measuring(harness.stop):
            progress.phase("Measuring", harness.steps)
            report = harness.run()
    if not report.interrupted:
        _complete(report, options, plans, old)
    return report


def _threads_of(report: Report) -> set[int]:
    """Returns the numbers of threads whose peak is needed: one, all cores, and those of rows."""
    cores = report.machine.cores
    return {1, cores, *(min(row.threads, cores) for row in report.rows if row.threads)}


def _complete(
    report: Report, options: BenchOptions, plans: Sequence[RowPlan], old: Report | None
) -> None:
    """Adds what can be said only once all rows are measured."""
    if options.operators:
        report.peaks = measure_peaks(_threads_of(report))
    if old is not None and options.compare is not None:
        _add_changes(report, old, options.compare, options.fail_over)
    if options.tune:
        report.tuned = write_profiles(report, plans)


def _planned(options: BenchOptions, bundles: Sequence[Path]) -> list[RowPlan]:
    """Returns the rows to measure, after making sure that what is tuned can be saved."""
    plans = plan_rows(
        bundles,
        runtimes=options.runtime,
        threads=options.threads or (threads_to_try() if options.tune else ()),
        arithmetic=options.arithmetic,
    )
    for bundle in sorted({plan.bundle for plan in plans}) if options.tune else ():
        _refuse_no_profile(bundle)
    return plans


def _wants_accuracy(options: BenchOptions, plans: Sequence[RowPlan]) -> bool:
    """Returns whether to measure the accuracy; tuning needs it to choose among settings."""
    settings = {(plan.row.runtime, plan.row.arithmetic) for plan in plans}
    wanted = options.annotations is not None and not options.under_load
    return options.accuracy or wanted or (options.tune and len(settings) > 1)


def _frames_of_a_round(options: BenchOptions, footage: FootageInfo) -> int:
    if footage.frames is None:
        return options.frames
    return min(options.frames, footage.frames - pass_length(0))


def _check_earlier(
    old: Report, path: Path, options: BenchOptions, footage: FootageInfo, frames: int
) -> None:
    """Raises unless the earlier report can be compared with what is measured now."""
    if options.fail_over is not None:
        _check_rounds(old, path)
    if not options.force:
        check_comparable(old, path, describe_machine(), footage, frames)


def _add_changes(report: Report, old: Report, path: Path, fail_over: float | None) -> None:
    report.changes = compare(report, old, path, fail_over)
    report.compared_with = path.name
    report.notes += short_notes(old.notes, f"{path.name} says")
    if any(change.verdict == NOT_JUDGED for change in report.changes):
        report.notes.append(_not_judged(report, path))


def _not_judged(report: Report, earlier: Path) -> str:
    when = "now" if is_noisy(report) else f"when {earlier.name} was measured"
    return (
        f"{NOT_JUDGED.capitalize()}: the machine was too noisy {when} to tell what became slower "
        "or faster. Measure again on a quiet machine."
    )


def _refuse_no_profile(bundle: Path) -> None:
    """Raises if the fastest setting could not be written beside the bundle."""
    if not os.access(bundle, os.W_OK):
        raise OutputError(
            f"{parameter('tune')} writes {PROFILE} into {bundle}, but you have no permission to "
            "write there.",
            hint="Copy that folder to a place where you may write, and measure the copy: edgekit "
            "bench COPY --tune",
        )


def _check_rounds(old: Report, path: Path) -> None:
    rounds = min((len(row.result.rounds) for row in old.rows if row.result), default=0)
    if rounds < LEAST_ROUNDS:
        raise BadInputError(
            f"{path} has {rounds} rounds of each row; a comparison needs at least {LEAST_ROUNDS}.",
            hint=f"Measure it again with {parameter('rounds', LEAST_ROUNDS)} or more.",
        )
