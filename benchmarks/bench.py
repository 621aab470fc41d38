"""Runs ``edgekit bench``: checks options, calls ``measurement``, writes files."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgekit._checks import as_path, as_sequence
from edgekit._parameters import parameter
from edgekit._printable import as_unicode
from edgekit._progress import SILENT, Progress, as_progress
from edgekit.assets import default_weights
from edgekit.benchmarks.measurement import Measuring, measure
from edgekit.benchmarks.options import BenchOptions
from edgekit.benchmarks.report.history import keep_report, read_history
from edgekit.benchmarks.report.page import to_html
from edgekit.benchmarks.report.report import Report
from edgekit.benchmarks.report.texts import to_csv, to_markdown
from edgekit.benchmarks.rows import shipped_bundles
from edgekit.benchmarks.sweep import Sweep, export_all, read_sweep
from edgekit.bundle import Bundle
from edgekit.calibration.store import Store, default_store
from edgekit.errors import UsageError
from edgekit.files.output_paths import (
    refuse_unwritable,
    refuse_unwritable_folder,
    require_parent,
)
from edgekit.files.writing import atomic_file
from edgekit.runtime.native.library import compiled
from edgekit.targets.bundle_choice import Named, all_here, as_bundles
from edgekit.targets.registry import runtimes_of

__all__ = ["bench", "run_bench"]

_LOG = logging.getLogger(__name__)


# Long: it documents the arguments, and only passes them on.
def bench(
    bundles: Bundle | str | os.PathLike[str] | Sequence[Bundle | str | os.PathLike[str]] = (),
    *,
    source: str | os.PathLike[str] | None = None,
    frames: int = 100,
    rounds: int = 5,
    runtime: str | Sequence[str] = (),
    threads: int | Sequence[int] = (),
    arithmetic: str | Sequence[str] = (),
    sweep: str | Sequence[str] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    accuracy: bool = False,
    under_load: bool = False,
    operators: bool = False,
    host: str | Sequence[str] = (),
    annotations: str | os.PathLike[str] | None = None,
    energy: str | None = None,
    compare: str | os.PathLike[str] | None = None,
    fail_over: float | None = None,
    force: bool = False,
    tune: bool = False,
    csv: str | os.PathLike[str] | None = None,
    markdown: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    history: str | os.PathLike[str] | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Measures how long each stage of a frame takes, for every bundle and runtime.

    Every row is measured in a process of its own.

    Args:
        bundles: Bundles to measure, or their folders; ``shipped`` stands for the shipped ones. By
            default the shipped ones and all in ``artifacts/``.
        source: Video or folder of pictures to measure on. By default a rendered clip.
        frames: Number of frames to measure in each round, at least 10, after the warm-up.
        rounds: Number of rounds, at least 1. In each round every row is measured once, in changing
            order.
        runtime: Names in ``edgekit.targets.registry.RUNTIMES`` to measure; one row for each. By
            default all that run the bundle.
        threads: Numbers of threads; one row for each. 0, the default, lets the runtime choose.
        arithmetic: Types that the runtime computes in, ``f32``, ``f16`` or ``bf16``; one row for
            each. For OpenVINO and ncnn only. By default the bundle's own.
        sweep: Settings and their values, such as ``size=192,256``: one row for each combination.
            Settings are ``runtime``, ``threads`` and ``arithmetic``; without ``bundles`` also
            ``target``, ``precision``, ``size`` and ``cascade``, and EdgeKit exports a bundle for
            each.
        checkpoint: Checkpoint that ``sweep`` exports. By default the shipped weights.
        accuracy: Whether to measure frame-mAP and video-mAP too, on rendered clips.
        under_load: Whether to measure accuracy and frame age too, on simulated boards that are too
            slow for their camera.
        operators: Whether to measure the time of each operator of the models too, with the
            runtime's profiler, and the peak of this machine to compare it with.
        host: Names of devices for ``ssh``, on which the EdgeKit that is installed there measures
            the same bundles; not with ``tune`` or ``operators``.
        annotations: Folder of annotated videos for the accuracy, instead of rendered clips.
        energy: Command that prints the energy used so far in joules, such as ``5021.5 J``, or the
            power in watts. By default the machine's own sensors.
        compare: Earlier report to compare with: the output of ``edgekit bench --json``.
        fail_over: Share, such as 0.1, by which a row may be slower than in ``compare``. A row that
            is significantly slower has ``regression`` set in the report's ``changes``.
        force: Whether to compare even if machine, footage or schema of the report differ.
        tune: Whether to save the fastest settings of each bundle as ``profile.json`` in its folder,
            where ``edgekit run`` finds them.
        csv: CSV file to write, with one line per row and one column per figure.
        markdown: Markdown file to write with the tables.
        html: HTML page to write with tables and plots.
        history: Folder to add the report to; the page then shows how each row changed over time.
        progress: Display of the progress: a phase for the exports of a sweep, if any, with a note
            for each, and one for the measurement.

    Returns:
        The report, with one row per setting. A row that could not be run contains the reason. Times
        are in milliseconds, but ``first_frame`` and ``cpu_seconds`` are in seconds.

    Raises:
        UsageError: A value has the wrong type or is out of range, or two of them contradict; or the
            source is live, or no bundle runs on any of the runtimes.
        BadInputError: A bundle, the checkpoint, the source, the annotations, the command or the
            earlier report is invalid, or an output cannot be written.
        MissingDependencyError: A package for the exports of a sweep is not installed.
        EdgeKitError: No row could be run.
    """
    options = BenchOptions(
        bundles=as_bundles("bundles", bundles),
        source=None if source is None else str(as_path("source", source)),
        frames=frames,
        rounds=rounds,
        runtime=as_sequence(runtime),
        threads=as_sequence(threads),
        arithmetic=as_sequence(arithmetic),
        sweep=as_sequence(sweep),
        checkpoint=as_path("checkpoint", checkpoint),
        accuracy=accuracy,
        under_load=under_load,
        operators=operators,
        host=as_sequence(host),
        annotations=as_path("annotations", annotations),
        energy=energy,
        compare=as_path("compare", compare),
        fail_over=fail_over,
        force=force,
        tune=tune,
        csv=as_path("csv", csv),
        markdown=as_path("markdown", markdown),
        html=as_path("html", html),
        history=as_path("history", history),
    )
    report, _ = run_bench(options, as_progress(progress))
    return report


def run_bench(
    options: BenchOptions,
    progress: Progress = SILENT,
    measuring: Measuring = lambda stop: contextlib.nullcontext(),
) -> tuple[Report, tuple[Path, ...]]:
    """Measures as checked options describe it; ``bench`` documents the errors.

    Args:
        options: Options of the benchmark.
        progress: Display of the progress.
        measuring: Function that makes the context of the measurement from a function that ends it
            early, such as a signal handler.

    Returns:
        The report, and the files that were written.
    """
    for path in options.outputs.values():
        refuse_unwritable(path)
    if options.history is not None:
        require_parent(options.history)
        refuse_unwritable_folder(options.history)
    sweep = read_sweep(options.sweep)
    _refuse_contradictions(options, sweep)
    options = replace(
        options,
        runtime=options.runtime or sweep.runtime,
        threads=options.threads or sweep.threads,
        arithmetic=options.arithmetic or sweep.arithmetic,
    )
    with contextlib.ExitStack() as stack:
        exported: list[Path] = []
        if sweep.exports:
            store = Store(default_store(option=""))
            stack.enter_context(store.in_use())
            progress.phase("Exporting")
            checkpoint = options.checkpoint or default_weights()
            exported = export_all(sweep, checkpoint, store, progress.note)
        compiled()  # if it is missing, this process warns for its workers
        bundles = exported or _folders(options.bundles)
        report = measure(options, bundles, progress=progress, measuring=measuring)
        if options.host and not report.interrupted:
            # Only these rows need a connection, and the code for it.
            from edgekit.benchmarks.devices import add_devices

            add_devices(report, options, bundles, progress)
        return report, _write(report, options)


def _refuse_contradictions(options: BenchOptions, sweep: Sweep) -> None:
    for setting in ("runtime", "threads", "arithmetic"):
        if getattr(sweep, setting) and getattr(options, setting):
            raise UsageError(
                f"{parameter(setting)} and a sweep over {setting} cannot be used together.",
                hint="Leave one of them out.",
            )
    if not sweep.exports:
        if options.checkpoint is not None:
            raise UsageError(
                f"{parameter('checkpoint')} works only with a sweep that exports bundles, and none "
                "was given.",
                hint=f"Add a sweep, for example {parameter('sweep', 'size=192,256')}, or name a "
                "bundle instead of the checkpoint.",
            )
    elif options.bundles or options.tune:
        raise UsageError(
            "A sweep over target, precision, size or cascade exports its own bundles. Other "
            f"bundles and {parameter('tune')} cannot be used with it.",
            hint=f"Leave out the bundles and {parameter('tune')}, and name what to export: "
            f"{parameter('checkpoint', 'FILE')}",
        )


def _folders(named: Sequence[Named]) -> list[Path]:
    """Returns the folders of the named bundles; by default the shipped ones and those here."""
    shipped = shipped_bundles()
    if named:
        folders = [[name] if isinstance(name, Path) else shipped for name in named]
        return [path for some in folders for path in some]
    here = [bundle.path for bundle in all_here(lambda bundle: bool(runtimes_of(bundle)))]
    _LOG.warning(
        "Measuring the %d shipped bundles%s. To measure others: %s.",
        len(shipped),
        f" and {len(here)} of artifacts/" if here else "",
        "edgekit bench BUNDLE... or edgekit bench shipped",
    )
    return [*shipped, *here]


def _write(report: Report, options: BenchOptions) -> tuple[Path, ...]:
    """Writes the report in the requested forms; returns the files."""
    kept, past = [], list[Report]()
    if options.history is not None and not report.interrupted:
        kept = [keep_report(report, options.history)]
        past = read_history(options.history, report)
    makers: dict[str, Callable[[Report], str]] = {
        "csv": to_csv,
        "markdown": to_markdown,
        "html": lambda report: to_html(report, past),
    }
    for name, path in options.outputs.items():
        with atomic_file(path) as temporary:
            temporary.write_text(as_unicode(makers[name](report)), encoding="utf-8")
    return (*options.outputs.values(), *kept)
