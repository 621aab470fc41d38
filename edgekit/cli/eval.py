"""Defines the command ``edgekit eval``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options.bundles import BUNDLE, Named, runnable, take
from edgekit.cli.options.linking import delay_options, misses_options
from edgekit.cli.options.shared import (
    common_options,
    emit_json,
    process_pool,
    progress_bar,
    session_options,
    stdout_console,
)
from edgekit.cli.options.types import DATASET, LINK, OUT_FILE
from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.metrics.detections import SavedDetections
    from edgekit.metrics.evaluate import EvalResult
    from edgekit.targets.base import SessionOptions

__all__ = ["command"]


@click.command(name="eval")
@click.argument("bundle", type=BUNDLE, required=False)
@click.option(
    "--dataset",
    type=DATASET,
    help="Layout of the annotated videos. json means ROOT/annotations.json with the videos "
    "beside it.",
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the dataset.")
@click.option(
    "--split",
    type=click.IntRange(1, 3),
    default=1,
    show_default=True,
    help="Number of the dataset's split; json has only one.",
)
@click.option(
    "--detections",
    type=click.Path(path_type=Path),
    help="Saved detections to evaluate instead of running a bundle.",
)
@click.option(
    "--link",
    type=LINK,
    help="Linker that joins detections into tubes: EdgeKit's own (edgekit) or one from "
    "KORSAL's code. road is KORSAL's edit of ROAD's linker, not ROAD's original. "
    "[default: edgekit; road with --protocol published]",
)
@click.option(
    "--cost",
    type=click.Choice(["score", "similarity", "score-plus-similarity"]),
    default="score",
    show_default=True,
    help="Criterion by which a published linker (not edgekit) chooses among the boxes that "
    "overlap a tube: their score, the similarity of their class scores to the tube's, or the sum.",
)
@misses_options
@click.option(
    "--min-hits",
    type=click.IntRange(1),
    help="Smallest number of detections in a tube, in place of --min-length: N stands for "
    "--min-length N-1.",
)
@click.option(
    "--min-length",
    type=click.IntRange(0),
    default=5,
    show_default=True,
    help="Drop tubes of at most this many frames.",
)
@delay_options
@click.option(
    "--protocol",
    type=click.Choice(["edgekit", "published"]),
    default="edgekit",
    show_default=True,
    help="Evaluation protocol. published repeats KORSAL's own evaluation to the last digit.",
)
@click.option(
    "--top-k",
    type=click.IntRange(1),
    help="Largest number of detections per frame. [default: the bundle's own]",
)
@session_options
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of processes to evaluate with.",
)
@click.option(
    "--save-detections",
    type=OUT_FILE,
    help="File to write the detections to. Compressed if its name ends in .gz.",
)
@common_options
def command(
    bundle: Named,
    dataset: str | None,
    root: Path | None,
    split: int,
    detections: Path | None,
    link: str | None,
    cost: str,
    max_misses: int | None,
    max_gap: float | None,
    min_hits: int | None,
    min_length: int,
    delay: int,
    delay_seconds: float | None,
    protocol: str,
    top_k: int | None,
    session: SessionOptions,
    workers: int,
    save_detections: Path | None,
    as_json: bool,
) -> None:
    """Score a bundle, or saved detections, against annotations.

    Without BUNDLE, it takes the bundle that edgekit run would take: the newest in artifacts/ that
    runs on this machine, or the shipped one. The word 'shipped' names the shipped one.

    Example: edgekit eval --dataset json --root clips --link road
    """
    from edgekit.metrics.evaluate import evaluate

    with process_pool(workers) as executor:
        if detections is not None:
            if bundle or dataset or root or save_detections:
                raise UsageError(
                    "--detections stands for a bundle and a dataset; both were given.",
                    hint="Leave out BUNDLE, --dataset, --root and --save-detections.",
                )
            from edgekit.metrics.detections import read_detections

            saved = read_detections(detections)
        else:
            saved = _detected(bundle, dataset, root, split, session, top_k, executor)
        if save_detections is not None:
            from edgekit.metrics.detections_writer import write_detections

            write_detections(save_detections, saved)
        result = evaluate(
            saved,
            link=link,
            cost=cost,
            max_misses=max_misses,
            max_gap=max_gap,
            min_length=min_length if min_hits is None else min_hits - 1,
            delay=delay,
            delay_seconds=delay_seconds,
            protocol=protocol,
            executor=executor,
        )
    if as_json:
        emit_json(result.to_dict())
    else:
        _show(result)


def _detected(
    bundle: Named,
    dataset: str | None,
    root: Path | None,
    split: int,
    session: SessionOptions,
    top_k: int | None,
    executor: Executor | None,
) -> SavedDetections:
    if root is None:
        raise UsageError(
            "There is nothing to judge by: neither --root nor --detections was given.",
            hint="For example: edgekit eval --dataset json --root clips",
        )
    from edgekit.datasets.published import read_truth
    from edgekit.evaluation import detect_videos

    truth = read_truth(dataset or "json", root, split=split)
    taken = take(
        bundle,
        what="bundle in artifacts/ that runs on this machine",
        another="edgekit eval BUNDLE or edgekit eval shipped",
        fits=runnable(lambda _: session),
    )
    with progress_bar() as bar:
        task = bar.add_task("Detecting", total=len(truth.videos), note="")
        return detect_videos(
            taken.path,
            truth,
            options=session,
            top_k=top_k,
            executor=executor,
            on_video=lambda: bar.advance(task),
        )


def _show(result: EvalResult) -> None:
    from edgekit.cli.output.tables import print_table

    data = result.to_dict()
    thresholds = list(data["video_map"])
    rows: list[Sequence[str] | None] = []
    for name, row in data["per_class"].items():
        if row["frame_ap"] is None:
            continue
        values = [row["frame_ap"], *(row["video_ap"][t] for t in thresholds)]
        rows.append([name, *("-" if v is None else f"{v:.3f}" for v in values)])
    means = [data["frame_map"]["0.5"], *data["video_map"].values()]
    rows += [None, ["mean", *(f"{value:.3f}" for value in means)]]
    console = stdout_console(as_json=False)
    headings = ("class", "frame-AP @0.5", *(f"video-AP @{t}" for t in thresholds))
    print_table(console, headings, rows)
    videos = f"{data['videos']} video{'s' if data['videos'] != 1 else ''}"
    console.print(f"{videos}, {data['frames']} frames, linked by {data['link']}.")
