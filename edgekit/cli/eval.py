"""Defines the command ``edgekit eval``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit._printable import plural
from edgekit.cli.options.bundles import BUNDLE
from edgekit.cli.options.linking import (
    LINK_HELP,
    delay_options,
    misses_options,
    top_k_option,
)
from edgekit.cli.options.shared import (
    build,
    common_options,
    emit_json,
    session_options,
    split_option,
    stdout_console,
)
from edgekit.cli.options.types import DATASET, LINK, OUT_FILE, OUT_FOLDER
from edgekit.cli.output.progress_bars import PhaseBars
from edgekit.errors import HostError, MediaError
from edgekit.linking.choices import COSTS
from edgekit.metrics.protocols import FRAMES, PROTOCOLS

if TYPE_CHECKING:
    from edgekit.evaluation.options import EvaluateOptions
    from edgekit.metrics.eval_result import EvalResult

__all__ = ["command"]


@click.command(name="eval")
@click.argument("bundle", type=BUNDLE, required=False)
@click.option(
    "--dataset",
    type=DATASET,
    help="Layout of the annotated videos; docs/datasets.md describes each. json means "
    "annotations.json in the folder of --root, with the videos beside it. [default: json]",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder of the dataset. [required unless --detections is given]",
)
@split_option
@click.option(
    "--detections",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to score instead of running a bundle: from eval --save-detections, or from run "
    "--save-detections with annotations added. --dataset and --root are not needed, because "
    "the annotations are in the file.",
)
@click.option(
    "--link",
    type=LINK,
    help=f"{LINK_HELP} [default: edgekit; road with --protocol published]",
)
@click.option(
    "--cost",
    type=click.Choice(COSTS),
    default="score",
    show_default=True,
    help="Criterion by which a linker other than edgekit chooses among the boxes that overlap "
    "a tube: the box's score, the similarity of the box's scores for all classes to those"
    " of the tube's last box, or the sum of both.",
)
@misses_options
@click.option(
    "--min-hits",
    type=click.IntRange(1),
    help="Smallest number of detections of a tube that counts. It is --min-length plus one, and "
    "replaces it: --min-hits 6 means the same as --min-length 5. [default: 6]",
)
@click.option(
    "--min-length",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Tubes of at most this many frames are dropped as too short, as in KORSAL's code. Not "
    "used with --min-hits, which is the same limit plus one.",
)
@delay_options
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="edgekit",
    show_default=True,
    help="Rules of the evaluation. published repeats KORSAL's own evaluation to the last digit, "
    "if --frames and the linking options keep their defaults. Size of the videos: edgekit "
    "keeps it, published scales to 320x240. Classes without annotations: edgekit leaves them "
    "out, published counts them as 0. Class of a detection: edgekit requires that of the box "
    "that it matches, published also accepts any other class that is annotated in the frame.",
)
@click.option(
    "--frames",
    type=click.Choice(FRAMES),
    default="all",
    show_default=True,
    help="Frames whose boxes count for frame-AP. annotated ignores frames without an annotated "
    "box, as the evaluations of YOWO and of ROAD's Python code do; the figures are higher.",
)
@top_k_option
@session_options(
    zero_threads="0 lets the runtime choose.",
    no_hint="throughput; latency with several --workers, and with --cluster",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of processes to evaluate with.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Address of the scheduler of a Dask cluster whose workers process the videos, such as "
    "tcp://10.0.0.5:8786. They read the bundle and the videos by the paths of this machine.",
)
@click.option(
    "--host",
    multiple=True,
    metavar="HOST",
    help="Device to run the bundle on as well, by the EdgeKit that edgekit deploy installed there. "
    "The videos are copied there, and its detections are scored here. HOST is a name that ssh "
    "accepts, such as pi@camera-1. Repeat the option for several.",
)
@click.option(
    "--results",
    type=OUT_FOLDER,
    help="Folder to save the detections of each finished video in. After an interruption, the "
    "same command continues from there. [default: in the work cache, which `edgekit cache` shows]",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Stop at the first video that fails. By default, EdgeKit names each video that fails, "
    "scores the others, and ends with status 3.",
)
@click.option(
    "--report",
    type=OUT_FILE,
    help="File to write a report to: a page if its name ends in .html, JSON if it ends in .json. "
    "It has the accuracy of classes, videos and groups of boxes, errors by kind, precision-recall "
    "curves, a confusion matrix, and how early in a video its class is known. Not with --protocol "
    "published.",
)
@click.option(
    "--clips",
    type=OUT_FOLDER,
    help="Folder to write the five worst videos to, as MP4 with annotated boxes (white) and found "
    "tubes drawn in. Not with --detections or --protocol published.",
)
@click.option(
    "--tracking",
    is_flag=True,
    help="Compute tracking measures too: HOTA, IDF1 and MOTA, by the package trackeval.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Saved detections of the same videos to compare with. They are scored by the same "
    "options; each difference is shown with its 95% interval, from a paired bootstrap over the "
    "videos.",
)
@click.option(
    "--save-detections",
    type=OUT_FILE,
    help="JSON file to write the detections and annotations to, for --detections. Compressed if "
    "its name ends in .gz.",
)
@common_options
def command(as_json: bool, **values: object) -> None:
    """Score a bundle, or saved detections, against annotations.

    BUNDLE is a folder, or 'shipped' for the shipped bundle. By default it is the newest bundle in
    artifacts/ that runs on this machine, or the shipped one if there is none.

    Example: edgekit eval --dataset json --root clips --link road
    """
    from edgekit.evaluation.evaluate import run_evaluation
    from edgekit.evaluation.options import EvaluateOptions

    options = build(EvaluateOptions, values)
    with PhaseBars() as progress:
        result = run_evaluation(options, progress)
    if as_json:
        emit_json(result.to_dict())
    else:
        _show(result)
        _show_insight(result, options)
        if result.hosts:
            _show_hosts(result)
    _refuse_failed_hosts(result)
    if result.failures:
        count, every = len(result.failures), len(result.failures) + len(result.tubes)
        raise MediaError(
            f"{count} of {every} videos failed; the figures are those of the others.",
            hint="The same command tries them again. It takes the others from its results, if they "
            "were kept.",
        )


def _refuse_failed_hosts(result: EvalResult) -> None:
    failed = {host: each for host, each in result.hosts.items() if isinstance(each, str)}
    if failed:
        raise HostError(
            f"There is no result from {len(failed)} of {len(result.hosts)} devices: "
            f"{', '.join(failed)}.",
            hint=next(iter(failed.values())),
        )


def _show_hosts(result: EvalResult) -> None:
    """Prints the accuracy of this machine, if it ran the bundle, and of each other device."""
    from edgekit.cli.output.tables import print_table

    rows = []
    first = {} if result.device else {"this machine": result}
    for host, each in {**first, **result.hosts}.items():
        if isinstance(each, str):
            rows.append((host, *["failed"] * (len(result.video_map) + 2)))
            continue
        is_first = each is result or host == result.device
        change = "" if is_first else f"{each.frame_map - result.frame_map:+.4f}"
        values = [each.frame_map, *each.video_map.values()]
        rows.append((host, *(f"{value:.3f}" for value in values), change))
    headings = ("host", "frame-mAP @0.5", *(f"video-mAP @{t}" for t in result.video_map))
    against = f"frame-mAP against {result.device or 'this machine'}"
    print_table(stdout_console(), (*headings, against), rows)


def _show(result: EvalResult) -> None:
    from edgekit.cli.output.tables import print_table
    from edgekit.evaluation.dataset_detections import MOST_NAMED

    thresholds = list(result.video_map)
    rows: list[Sequence[str] | None] = []
    for name, found in result.per_class.items():
        values = [found.frame_ap, *found.video_ap.values()]
        if not any(value is not None for value in values):
            continue
        rows.append([name, *("-" if v is None else f"{v:.3f}" for v in values)])
    means = [result.frame_map, *result.video_map.values()]
    rows += [None, ["mean", *(f"{value:.3f}" for value in means)]]
    console = stdout_console()
    headings = ("class", "frame-AP @0.5", *(f"video-AP @{t}" for t in thresholds))
    print_table(console, headings, rows)
    count = len(result.tubes)
    videos = f"{count} {plural('video', count)}"
    where = f", detected by {result.device}" if result.device else ""
    frames = f"{result.frames} {plural('frame', result.frames)}"
    console.print(f"{videos}, {frames}, linked by {result.link}{where}.")
    for name, reason in list(result.failures.items())[:MOST_NAMED]:
        console.print(f"{name} failed: {reason}", soft_wrap=True)
    if len(result.failures) > MOST_NAMED:
        more = len(result.failures) - MOST_NAMED
        console.print(f"Failed videos that are not named above: {more}. --json and -v name all.")


def _show_insight(result: EvalResult, options: EvaluateOptions) -> None:
    """Prints what ``--tracking``, ``--compare``, ``--clips`` and ``--report`` add."""
    console = stdout_console()
    if result.tracking is not None:
        of = result.tracking
        console.print(
            f"Tracking: HOTA {of.hota:.3f} (DetA {of.det_a:.3f}, AssA {of.ass_a:.3f}), IDF1 "
            f"{of.idf1:.3f}, MOTA {of.mota:.3f}, {of.id_switches} identity switches.",
            soft_wrap=True,
        )
    if result.comparison is not None:
        from edgekit.metrics.analysis.comparison import verdicts

        for line in verdicts(result.comparison, str(options.compare)):
            console.print(line, soft_wrap=True)
    for name, path in result.clips.items():
        console.print(f"{path} shows {name}", soft_wrap=True)
    if options.report is not None:
        console.print(f"Report: {options.report}", soft_wrap=True)
