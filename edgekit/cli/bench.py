"""Defines the command ``edgekit bench``."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options.bundles import BUNDLE
from edgekit.cli.options.shared import (
    HeadedCommand,
    build,
    common_options,
    emit_json,
    headed,
    stdout_console,
)
from edgekit.cli.options.types import OUT_FILE, OUT_FOLDER, RUNTIME
from edgekit.cli.output.outcome import INTERRUPTED
from edgekit.cli.output.progress_bars import PhaseBars
from edgekit.errors import BoundError, HostError
from edgekit.targets.choices import ARITHMETICS

if TYPE_CHECKING:
    from edgekit.benchmarks.options import BenchOptions
    from edgekit.benchmarks.report.report import Report

__all__ = ["command"]

_LOG = logging.getLogger(__name__)

_FILE = click.Path(dir_okay=False, path_type=Path)


class _Percent(click.ParamType[float]):
    name = "PERCENT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)%?", str(value).strip())
        if match is None:
            self.fail(f"Expected a percentage, such as 10%; found {value!r}.", param, ctx)
        return float(match[1]) / 100


@click.command(name="bench", cls=HeadedCommand)
@click.argument("bundles", nargs=-1, type=BUNDLE, metavar="[BUNDLE]...")
@headed(
    "Measurement",
    click.option(
        "--source",
        metavar="CLIP",
        help="Video or folder of pictures to measure on. [default: a demo clip]",
    ),
    click.option(
        "--frames",
        type=click.IntRange(10),
        default=100,
        show_default=True,
        help="Number of frames to measure in each round, after the warm-up.",
    ),
    click.option(
        "--rounds",
        type=click.IntRange(1),
        default=5,
        show_default=True,
        help="Number of rounds. In each round every row is measured once, in changing order.",
    ),
    click.option(
        "--energy",
        metavar="COMMAND",
        help="Command that prints the energy used so far in joules, such as '5021.5 J', or the "
        "power in watts. [default: the machine's own sensors]",
    ),
)
@headed(
    "Operators",
    click.option(
        "--operators",
        is_flag=True,
        help="Measure the time of each operator and layer of the model too, with the runtime's "
        "profiler, and compare it with the peak of this machine (a roofline). With --compare, "
        "EdgeKit names the operator whose time changed most.",
    ),
)
@headed(
    "Rows",
    click.option(
        "--runtime",
        multiple=True,
        type=RUNTIME,
        help="Runtime to measure. Repeat the option for several. [default: all that run the "
        "bundle]",
    ),
    click.option(
        "--threads",
        multiple=True,
        type=click.IntRange(0),
        help="Number of threads for inference to measure with; one row for each. Repeat the "
        "option for several. 0 lets the runtime choose. [default: 0; several numbers with "
        "--tune]",
    ),
    click.option(
        "--arithmetic",
        multiple=True,
        type=click.Choice(ARITHMETICS),
        help="Type that the runtime computes in (openvino and ncnn only); one row for each. "
        "Repeat the option for several. [default: the bundle's own]",
    ),
    click.option(
        "--sweep",
        multiple=True,
        metavar="SETTING=V,V",
        help="Setting and its values, such as threads=1,2: one row for each combination. Settings "
        "are runtime, threads and arithmetic; without BUNDLE also target, precision, size "
        "(such as 256) and cascade (host or graph), for which EdgeKit exports bundles. "
        "Repeat the option for several.",
    ),
    click.option(
        "--checkpoint",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Checkpoint that --sweep exports. [default: the shipped weights]",
    ),
)
@headed(
    "Devices",
    click.option(
        "--host",
        multiple=True,
        metavar="HOST",
        help="Device on which the same bundles are measured as well, by the EdgeKit that edgekit "
        "deploy installed there. HOST is its name for ssh, such as pi@camera-1. Repeat the option "
        "for several.",
    ),
)
@headed(
    "Accuracy",
    click.option(
        "--accuracy", is_flag=True, help="Measure frame-mAP and video-mAP too, on rendered clips."
    ),
    click.option(
        "--under-load",
        is_flag=True,
        help="Simulate boards that process every frame, or only every 2nd, 3rd, 5th or 8th, and "
        "measure accuracy and how old a frame is when its inference starts.",
    ),
    click.option(
        "--annotations",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Dataset for the accuracy instead of rendered clips, in the layout json only: "
        "annotations.json in FOLDER, described in docs/evaluation.md, and the videos beside "
        "it.",
    ),
)
@headed(
    "Tuning",
    click.option(
        "--tune",
        is_flag=True,
        help="Find the fastest row of each bundle on this machine, and save its runtime, threads "
        "and arithmetic as profile.json in the bundle's folder, where edgekit run finds "
        "them. Without --threads, EdgeKit tries 0, the powers of two, and the number of "
        "cores. It tries several types of --arithmetic only if you name them.",
    ),
)
@headed(
    "Comparison",
    click.option(
        "--compare",
        type=_FILE,
        metavar="FILE",
        help="Earlier report to compare with: standard output of an earlier edgekit bench --json. "
        "EdgeKit says which rows became slower or faster.",
    ),
    click.option(
        "--fail-over",
        type=_Percent(),
        metavar="PERCENT",
        help="Largest accepted slowdown against the report of --compare. If a row is slower by "
        "more, and by more than the noise of the measurement, the command ends with status "
        "5; if the machine is too noisy to tell, EdgeKit says so and ends with status 0.",
    ),
    click.option(
        "--force",
        is_flag=True,
        help="Compare even if the machine, the footage or the schema of the report differs.",
    ),
)
@headed(
    "Outputs",
    click.option(
        "--csv",
        type=OUT_FILE,
        help="CSV file to write, with one line per row and one column per figure.",
    ),
    click.option("--markdown", type=OUT_FILE, help="Markdown file to write with the tables."),
    click.option("--html", type=OUT_FILE, help="HTML page to write with tables and plots."),
    click.option(
        "--history",
        type=OUT_FOLDER,
        metavar="FOLDER",
        help="Folder to add this report to. The page from --html then shows how each row changed "
        "over time.",
    ),
)
@common_options
def command(as_json: bool, **values: object) -> int:
    """Measure how long each stage of a frame takes, for every bundle and runtime.

    Each row of the report is one bundle on one runtime with one setting, such as a number of
    threads. The stages are capture, cascade, network, decode, link and emit; docs/bench.md explains
    each column. BUNDLE is a folder, or 'shipped' for all shipped bundles. By default EdgeKit
    measures the shipped bundles and all bundles in artifacts/.

    Example: edgekit bench --threads 1 --html bench.html
    """
    from edgekit.benchmarks.bench import run_bench
    from edgekit.benchmarks.options import BenchOptions
    from edgekit.cli.running.interrupt import Stopper

    options = build(BenchOptions, values)
    stopper = Stopper()
    with PhaseBars(log_notes=False) as progress:
        report, written = run_bench(options, progress, stopper.stopping_with)
    if as_json:
        emit_json(report)
    else:
        _print(report, written)
    if stopper.interrupted:
        return INTERRUPTED.status
    _check_changes(report, options, as_json=as_json)
    return 0


def _check_changes(report: Report, options: BenchOptions, *, as_json: bool) -> None:
    """Raises an error for rows that became slower than allowed, and for devices that failed."""
    from edgekit.benchmarks.report.comparison import NOT_JUDGED

    slower = [report.rows[change.row].label for change in report.changes if change.regression]
    if slower and options.fail_over is not None:
        raise BoundError(
            f"This run is more than {100 * options.fail_over:g}% slower than {options.compare}: "
            f"{'; '.join(slower)}.",
            hint="The table shows which stage became slower. If you accept the new speed, compare "
            "with the new report from now on.",
        )
    if as_json or options.fail_over is not None:
        for note in report.notes:
            if note.startswith(NOT_JUDGED.capitalize()):
                _LOG.warning("%s", note)
    failed = [device for device in report.devices or () if device.error]
    if failed:
        names = ", ".join(device.host for device in failed)
        raise HostError(
            f"{len(failed)} of {len(options.host)} devices measured nothing: {names}.",
            hint=failed[0].error,
        )


def _print(report: Report, written: Sequence[Path]) -> None:
    from edgekit.benchmarks.report.tables import grids, header_lines, note_lines
    from edgekit.cli.output.tables import print_grid

    console = stdout_console()
    for line in header_lines(report):
        console.print(line, soft_wrap=True)
    for grid in grids(report):
        print_grid(console, grid)
    for line in note_lines(report):
        console.print(f"! {line}", soft_wrap=True)
    for path in written:
        console.print(f"Wrote {path}", soft_wrap=True)
