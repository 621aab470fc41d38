"""Runs ``edgekit bench``: from its options to the report."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edgekit.benchmarks.footage import DEMO_NAME, check_footage, write_demo_clip, write_judged_clips
from edgekit.benchmarks.harness import Harness
from edgekit.benchmarks.protocol import pass_length
from edgekit.benchmarks.report.comparison import LEAST_ROUNDS, NOT_JUDGED, check_comparable, compare
from edgekit.benchmarks.report.figures import is_noisy
from edgekit.benchmarks.report.report import Report, read_report
from edgekit.benchmarks.rows import plan_rows, shipped_bundles
from edgekit.benchmarks.tune import threads_to_try, write_profiles
from edgekit.datasets.published import read_truth
from edgekit.errors import BadInputError, OutputError
from edgekit.measuring.energy import find_meter
from edgekit.measuring.machine import describe_machine
from edgekit.targets.profile import PROFILE

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
        bundles: Folders of the bundles; by default those that ship with EdgeKit.
        source: Video or folder of pictures; by default the clip of ``edgekit demo``.
        frames: Number of frames measured in each round; fewer if the source is shorter.
        rounds: Number of rounds. In each round every row is measured once, in changing order.
        runtimes: Names of the runtimes to measure; by default all.
        threads: Numbers of threads for inference; each gives a row.
        arithmetic: Types of arithmetic; each gives a row.
        accuracy: Whether to measure accuracy too, on rendered clips.
        under_load: Whether to measure accuracy and frame age on boards that process only a share of
            the frames.
        annotations: Folder of annotated videos to measure accuracy on, instead of rendered clips.
            It implies ``accuracy`` unless ``under_load`` is set.
        energy: Command that prints joules or watts.
        earlier: Earlier report to compare with.
        fail_over: Share by which a row may be slower than before.
        tune: Whether to write the fastest setting of each bundle beside it. This tries several
            numbers of threads, and measures accuracy if settings may differ in it.
        force: Whether to compare even with another machine, footage or schema.
        on_start: Function that makes the context of the measurement, such as a signal handler.

    Returns:
        The report. A row that could not be run contains the reason.

    Raises:
        UsageError: The source is live, or no bundle runs on any of ``runtimes``.
        BadInputError: A bundle, the source, the annotations, the command or the earlier report is
            invalid.
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
        read_truth("json", annotations)  # reports errors in it now, and not at the end
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
    """Raises if the fastest setting could not be written beside the bundle."""
    if not os.access(bundle, os.W_OK):
        raise OutputError(
            f"--tune writes {PROFILE} into {bundle}, which may not be written.",
            hint="Copy that folder to a place of your own, and name it: edgekit bench COPY --tune",
        )


def _check_rounds(old: Report, path: Path) -> None:
    rounds = min((len(row.result.rounds) for row in old.rows if row.result), default=0)
    if rounds < LEAST_ROUNDS:
        raise BadInputError(
            f"{path} has {rounds} rounds of each row; a verdict needs {LEAST_ROUNDS}.",
            hint=f"Measure it again with --rounds {LEAST_ROUNDS} or more.",
        )
