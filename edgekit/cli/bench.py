"""Defines the command ``edgekit bench``."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.options.bundles import BUNDLE
from edgekit.cli.options.shared import common_options, emit_json, progress_bar, stdout_console
from edgekit.cli.options.types import OUT_FILE, OUT_FOLDER, RUNTIME
from edgekit.errors import BoundError, UsageError
from edgekit.targets.bundle_choice import Named, all_here

if TYPE_CHECKING:
    from edgekit.benchmarks.harness import Harness
    from edgekit.benchmarks.report.report import Report

__all__ = ["command"]

_LOG = logging.getLogger(__name__)

_FILE = click.Path(dir_okay=False, path_type=Path)
_OUTPUTS = ("csv", "markdown", "html")


class _Percent(click.ParamType[float]):
    name = "PERCENT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)%?", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is no percentage such as 10%.", param, ctx)
        return float(match[1]) / 100


@click.command(name="bench")
@click.argument("bundles", nargs=-1, type=BUNDLE, metavar="[BUNDLE]...")
@click.option(
    "--source",
    metavar="S",
    help="Video or folder of pictures to measure on. [default: a demo clip]",
)
@click.option(
    "--frames",
    type=click.IntRange(10),
    default=100,
    show_default=True,
    help="Number of frames to measure in each round, after the warm-up.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="Number of rounds. In each round every row is measured once, in changing order.",
)
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    type=RUNTIME,
    help="Runtime to measure. Repeat the option for several. [default: all that run the bundle]",
)
@click.option(
    "--threads",
    multiple=True,
    type=click.IntRange(0),
    help="Number of threads to measure with; one row for each. Repeat the option for "
    "several. 0, the default, lets the runtime choose.",
)
@click.option(
    "--arithmetic",
    multiple=True,
    type=click.Choice(["f32", "f16", "bf16"]),
    help="Type that the runtime computes in (openvino only); one row for each. Repeat the "
    "option for several. [default: the bundle's own]",
)
@click.option(
    "--sweep",
    multiple=True,
    metavar="SETTING=V,V",
    help="Setting and its values, such as threads=1,2: one row for each combination. "
    "Settings are runtime, threads and arithmetic; without BUNDLE also target, "
    "precision, size and cascade, and EdgeKit exports a bundle for each. Repeat the "
    "option for several.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Checkpoint that --sweep exports. [default: the shipped weights]",
)
@click.option(
    "--accuracy", is_flag=True, help="Measure frame-mAP and video-mAP too, on rendered clips."
)
@click.option(
    "--under-load",
    is_flag=True,
    help="Measure accuracy and frame age too, on a simulated board that is too slow for "
    "its camera and processes only every 2nd, 3rd, 5th or 8th frame.",
)
@click.option(
    "--annotations",
    type=click.Path(path_type=Path),
    metavar="ROOT",
    help="Dataset for the accuracy instead of rendered clips: ROOT/annotations.json and "
    "the videos beside it.",
)
@click.option(
    "--energy",
    metavar="COMMAND",
    help="Command that prints the energy used so far in joules, such as '5021.5 J', or the "
    "power in watts. [default: the machine's own sensors]",
)
@click.option(
    "--compare",
    "earlier",
    type=_FILE,
    metavar="FILE.json",
    help="Earlier report (from --json) to compare with. EdgeKit says which rows became "
    "slower or faster.",
)
@click.option(
    "--fail-over",
    type=_Percent(),
    metavar="PERCENT",
    help="With --compare: end with status 5 if a row is significantly slower by more than "
    "this. If the machine is too noisy for a verdict, EdgeKit says so and ends with "
    "status 0.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Compare even if the machine, the footage or the schema of the report differs.",
)
@click.option(
    "--tune",
    is_flag=True,
    help="Save the fastest setting of each bundle beside it; edgekit run uses it on this "
    "machine. Tries several numbers of threads unless --threads is given.",
)
@click.option(
    "--csv",
    type=OUT_FILE,
    help="CSV file to write, with one line per row and one column per figure.",
)
@click.option("--markdown", type=OUT_FILE, help="Markdown file to write with the tables.")
@click.option("--html", type=OUT_FILE, help="HTML page to write with tables and plots.")
@click.option(
    "--history",
    type=OUT_FOLDER,
    metavar="DIR",
    help="Folder to add this report to. The page from --html then shows how each row "
    "changed over time.",
)
@common_options
def command(as_json: bool, **options: Any) -> int:
    """Measure how long each stage of a frame takes, for every bundle and runtime.

    Without BUNDLE, it measures the shipped bundles and all in artifacts/. The word 'shipped' names
    the shipped ones. What the columns mean is in docs/bench.md.

    Example: edgekit bench --threads 1 --html bench.html
    """
    named = {name: options.pop(name) for name in _OUTPUTS}
    outputs: dict[str, Path] = {name: path for name, path in named.items() if path}
    history = options.pop("history")
    _check(options, outputs)
    _take_sweep(options)
    from edgekit.benchmarks.bench import run_bench
    from edgekit.benchmarks.report.comparison import NOT_JUDGED
    from edgekit.cli.running.interrupt import Stopper
    from edgekit.runtime.native.library import compiled

    stopper = Stopper()

    @contextlib.contextmanager
    def measuring(harness: Harness) -> Iterator[None]:
        stopper.stop_with(harness.stop)
        with stopper.listening(), progress_bar() as bar:
            task = bar.add_task("Measuring", total=harness.steps, note="")
            harness.on_step = lambda: bar.advance(task)
            yield

    compiled()  # if it is missing, this process warns for its workers
    bundles = _folders(options.pop("bundles"))
    report = run_bench(bundles, on_start=measuring, **options)
    past: list[Report] = []
    if history is not None and not report.interrupted:
        from edgekit.benchmarks.report.history import keep_report, read_history

        outputs["history"] = keep_report(report, history)
        past = read_history(history, report)
    _write(report, past, outputs)
    if as_json:
        emit_json(report)
    else:
        _print(report, outputs)
    if stopper.interrupted:
        return 130
    slower = [report.rows[change.row].label for change in report.changes if change.regression]
    if slower:
        raise BoundError(
            f"Slower than in {options['earlier']} by more than {100 * options['fail_over']:g}%: "
            f"{'; '.join(slower)}.",
            hint="The table says which stage it is in. If it is meant so, keep the new report.",
        )
    if as_json or options["fail_over"] is not None:
        for note in report.notes:
            if note.startswith(NOT_JUDGED.capitalize()):
                _LOG.warning("%s", note)
    return 0


def _folders(named: Sequence[Named]) -> list[Path]:
    """Returns the folders of the named bundles; by default the shipped ones and those here."""
    from edgekit.benchmarks.rows import shipped_bundles
    from edgekit.targets.registry import runtimes_of

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


def _check(options: dict[str, Any], outputs: dict[str, Path]) -> None:
    """Refuses contradictory options before anything is measured."""
    from edgekit.benchmarks.report.comparison import LEAST_ROUNDS
    from edgekit.files.output_paths import refuse_unwritable

    if options["fail_over"] is not None:
        if options["earlier"] is None:
            raise UsageError(
                "--fail-over says how much slower than before is too slow, and no earlier report "
                "was named.",
                hint="Name one: --compare FILE.json",
            )
        if options["rounds"] < LEAST_ROUNDS:
            raise UsageError(
                f"--fail-over needs a verdict, and that takes {LEAST_ROUNDS} rounds; --rounds is "
                f"{options['rounds']}.",
                hint=f"Use --rounds {LEAST_ROUNDS} or more.",
            )
    if options["tune"] and options["rounds"] < LEAST_ROUNDS:
        raise UsageError(
            f"--tune has to tell settings apart, and that takes {LEAST_ROUNDS} rounds; --rounds is "
            f"{options['rounds']}.",
            hint=f"Use --rounds {LEAST_ROUNDS} or more.",
        )
    inputs = {Path(name).resolve() for name in (options["earlier"], options["source"]) if name}
    for name, path in outputs.items():
        refuse_unwritable(path)
        if path.resolve() in inputs:
            raise UsageError(
                f"--{name} {path} is read or written by another option already.",
                hint="Name another file.",
            )
        inputs.add(path.resolve())


def _take_sweep(options: dict[str, Any]) -> None:
    """Replaces ``--sweep`` by the options it stands for, and exports the bundles it needs."""
    from edgekit.benchmarks.sweep import export_all, read_sweep

    sweep, checkpoint = read_sweep(options.pop("sweep")), options.pop("checkpoint")
    for setting, option in (("runtime", "runtimes"), ("threads",) * 2, ("arithmetic",) * 2):
        values = getattr(sweep, setting)
        if values and options[option]:
            raise UsageError(
                f"Both --{setting} and --sweep {setting}= say what to try.",
                hint="Leave one of them out.",
            )
        options[option] = options[option] or values
    if not sweep.exports:
        if checkpoint is not None:
            raise UsageError(
                "--checkpoint is exported for a sweep over bundles, and there is none.",
                hint="Add one: --sweep size=192,256; or name a bundle instead.",
            )
        return
    if options["bundles"] or options["tune"]:
        raise UsageError(
            "A sweep over target, precision, size or cascade exports its own bundles, which are "
            "neither named nor tuned.",
            hint="Leave BUNDLE and --tune out, and name what to export: --checkpoint FILE",
        )
    from edgekit.assets import default_weights
    from edgekit.calibration.store import Store, default_store

    store = Store(default_store(option=""))
    click.get_current_context().with_resource(store.in_use())
    with progress_bar() as bar:
        task = bar.add_task("Exporting", total=None, note="")
        options["bundles"] = export_all(
            sweep,
            checkpoint or default_weights(),
            store,
            lambda note: bar.update(task, note=note),
        )


def _write(report: Report, past: list[Report], outputs: dict[str, Path]) -> None:
    from edgekit.benchmarks.report.page import to_html
    from edgekit.benchmarks.report.texts import to_csv, to_markdown
    from edgekit.files.writing import atomic_file

    makers: dict[str, Callable[[Report], str]] = {
        "csv": to_csv,
        "markdown": to_markdown,
        "html": lambda report: to_html(report, past),
    }
    for name, make in makers.items():
        if name in outputs:
            with atomic_file(outputs[name]) as temporary:
                temporary.write_text(make(report), encoding="utf-8")


def _print(report: Report, outputs: dict[str, Path]) -> None:
    from edgekit.benchmarks.report.tables import grids, header_lines, note_lines
    from edgekit.cli.output.tables import print_grid

    console = stdout_console(False)
    for line in header_lines(report):
        console.print(line, soft_wrap=True, markup=False)
    for grid in grids(report):
        print_grid(console, grid)
    for line in note_lines(report):
        console.print(f"! {line}", soft_wrap=True, markup=False)
    for path in outputs.values():
        console.print(f"Wrote {path}", soft_wrap=True, markup=False)
