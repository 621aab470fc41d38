"""Defines the commands ``edgekit dataset``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgekit._printable import plural
from edgekit.cli.options.shared import (
    FiniteRange,
    build,
    common_options,
    emit_json,
    split_option,
    stdout_console,
)
from edgekit.cli.options.types import DATASET, OUT_FILE, OUT_FOLDER
from edgekit.cli.output.progress_bars import PhaseBars
from edgekit.datasets.layouts import PARTS

if TYPE_CHECKING:
    from edgekit.datasets.tools.conversion import WrittenDataset
    from edgekit.datasets.tools.statistics import Spread, Statistics

__all__ = ["command"]

F = TypeVar("F", bound=Callable[..., Any])

_MOST_HINTS = 2
_CORRECT = "Correct or remove what the list names, and run the command again."


@click.group(name="dataset")
def command() -> None:
    """Inspect, check, convert or split annotated videos.

    These commands read every layout that edgekit train and edgekit eval read, and recognize it by
    the files of the folder. None changes the videos. convert and split write files of annotations:
    split to the folder of the dataset, unless --out names another. Only --force replaces files.

    Example: edgekit dataset inspect clips
    """


def _chosen(*names: str) -> Callable[[F], F]:
    """Adds the argument ROOT and the options that choose a dataset."""

    def add(function: F) -> F:
        options = (
            click.argument("root", type=click.Path(path_type=Path)),
            click.option(
                *names, "dataset", type=DATASET,
                help="Layout of the dataset. [default: recognized by the files]",
            ),
            split_option,
            click.option(
                "--part", type=click.Choice(PARTS), default="all",
                show_default=True, help="Part of the dataset to read.",
            ),
        )  # fmt: skip
        for option in reversed(options):
            function = option(function)
        return function

    return add


@command.command(name="inspect")
@_chosen("--dataset")
@click.option(
    "--sheet",
    type=OUT_FILE,
    help="Picture to write, with frames of every class and their boxes (.png or .jpg).",
)
@common_options
def _inspect(sheet: Path | None, as_json: bool, **values: object) -> None:
    """Show the layout, counts, classes and boxes of a dataset.

    Heights and areas are shares of the picture. Motion is the distance that the centre of a box
    moves from one frame to the next, divided by the square root of the area of the box.

    Example: edgekit dataset inspect clips --sheet sheet.png
    """
    from edgekit.datasets.tools.contact_sheet import contact_sheet
    from edgekit.datasets.tools.loading import DatasetChoice, layout_of, read_parts, whole
    from edgekit.datasets.tools.statistics import statistics_of
    from edgekit.media.drawing.picture_file import refuse_no_picture, write_picture

    choice = build(DatasetChoice, values)
    if sheet is not None:
        refuse_no_picture(sheet)
    layout = layout_of(choice)
    parts = read_parts(replace(choice, dataset=layout))
    found = statistics_of(parts)
    if sheet is not None:
        write_picture(contact_sheet(whole(parts)), sheet)
    if as_json:
        emit_json({"root": str(choice.root), "layout": layout, **found.to_dict()})
    else:
        _show(choice.root, layout, found)


@command.command(name="check")
@_chosen("--dataset")
@click.option(
    "--decode",
    is_flag=True,
    help="Decode every frame. Otherwise, the pictures of a folder are counted, and a video is "
    "decoded only if it declares another number of frames than its annotation.",
)
@common_options
def _check(decode: bool, as_json: bool, **values: object) -> None:
    """List everything that is wrong with a dataset.

    It finds missing videos and frames, other sizes and numbers of frames than annotated, boxes
    beyond the picture or without an area, labels that are unknown or differ in case only, and
    actions that are annotated twice. The exit status is 3 if anything is wrong.

    Example: edgekit dataset check clips
    """
    from edgekit._printable import printable
    from edgekit.datasets.tools.checking import check_dataset
    from edgekit.datasets.tools.loading import DatasetChoice
    from edgekit.errors import AnnotationError

    choice = build(DatasetChoice, values)
    with PhaseBars() as progress:
        found = check_dataset(choice, decode=decode, progress=progress)
    if as_json:
        emit_json({"root": str(choice.root), **found.to_dict()})
    else:
        console = stdout_console()
        for fault in found.faults:
            line = f"{fault.video}: {fault.what}" if fault.video else fault.what
            console.print(printable(line), soft_wrap=True)
        if not found.faults:
            videos = f"{found.videos} {plural('video', found.videos)}"
            console.print(f"{videos}, layout {found.layout}: nothing is wrong.")
    if found.faults:
        hints = list(dict.fromkeys(fault.hint for fault in found.faults if fault.hint))
        count = len(found.faults)
        raise AnnotationError(
            f"{count} {plural('fault', count)} in {choice.root}. Videos whose annotations can be "
            f"read: {found.videos}.",
            hint=" ".join([*hints[:_MOST_HINTS], _CORRECT]),
        )


_FORCE = click.option(
    "--force", is_flag=True, help="Replace annotation files that are already there."
)


@command.command(name="convert")
@_chosen("--from", "--dataset")
@click.option("-o", "--out", type=OUT_FOLDER, required=True, help="Folder to write to.")
@_FORCE
@common_options
def _convert(out: Path, force: bool, as_json: bool, **values: object) -> None:
    """Write a dataset in EdgeKit's own layout.

    Videos are not copied. The annotations name a video below the folder of --out by its path;
    EdgeKit makes a link there to any other video. A dataset with parts becomes
    annotations-train.json and annotations-test.json, one without parts annotations.json. With
    --part, only the file of that part is written. Boxes are cut at the edges of their picture.

    Example: edgekit dataset convert annotated --from cvat -o clips
    """
    from edgekit.datasets.tools.conversion import write_datasets
    from edgekit.datasets.tools.loading import DatasetChoice, read_parts

    parts = read_parts(build(DatasetChoice, values))
    files = {f"annotations-{name}.json" if name != "all" else "annotations.json": truth
             for name, truth in parts.items()}  # fmt: skip
    _report(write_datasets(out, files, force=force), as_json)


@command.command(name="split")
@_chosen("--dataset")
@click.option(
    "--train",
    "share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
    help="Share of the videos to train with.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random choice.")
@click.option(
    "--group",
    metavar="REGEX",
    help="Regular expression for the names of videos. Its first group is the recording, whose "
    "clips stay together. [default: the way UCF101 and HMDB51 name clips; a video with another "
    "name is a recording by itself]",
)
@click.option(
    "-o", "--out", type=OUT_FOLDER, help="Folder to write to. [default: the dataset's own]"
)
@_FORCE
@common_options
def _split(
    share: float, seed: int, group: str | None, out: Path | None, force: bool, as_json: bool,
    **values: object,
) -> None:  # fmt: skip
    """Divide a dataset into a training and a test part.

    It writes annotations-train.json, which edgekit train reads, and annotations-test.json, which
    edgekit eval reads. Clips of one recording stay together, and each class is divided by itself.
    With --force, it divides a dataset again: annotations.json, if that is newer than its parts.

    Example: edgekit dataset split clips --train 0.8 --seed 1 -o divided
    """
    from edgekit.datasets.tools.conversion import write_datasets
    from edgekit.datasets.tools.loading import DatasetChoice, read_undivided
    from edgekit.datasets.tools.splitting import group_pattern, split_truth

    choice = build(DatasetChoice, values)
    truth = read_undivided(choice)
    trained, tested = split_truth(truth, share, seed=seed, pattern=group_pattern(group))
    files = {"annotations-train.json": trained, "annotations-test.json": tested}
    _report(write_datasets(out or choice.root, files, force=force), as_json)


def _report(written: WrittenDataset, as_json: bool) -> None:
    """Prints what was written."""
    if as_json:
        emit_json(written.to_dict())
        return
    console = stdout_console()
    for name, path in written.files.items():
        count = written.videos[name]
        console.print(f"{path}: {count} {plural('video', count)}", soft_wrap=True)
    for count, words in (
        (written.missing, "videos were not found; their names are those of the annotations"),
        (written.cut, "boxes were cut at the edge of their picture"),
        (written.left_out, "boxes were left out: nothing of them is in the picture"),
    ):
        if count:
            console.print(f"{count} {words}.")


def _show(root: Path, layout: str, found: Statistics) -> None:
    from edgekit.cli.output.tables import print_facts, print_table

    console = stdout_console()
    facts = [("folder", str(root)), ("layout", layout)]
    for name, part in found.parts.items():
        facts.append(
            (
                "videos" if name == "all" else f"{name} part",
                f"{part.videos} {plural('video', part.videos)} ({part.found} found), "
                f"{part.frames} {plural('frame', part.frames)} "
                f"({part.annotated_frames} annotated), {part.tubes} {plural('tube', part.tubes)}",
            )
        )
    facts += [
        ("box height", _spread(found.height)),
        ("box area", _spread(found.area)),
        ("width / height", _spread(found.aspect)),
        ("motion", _spread(found.motion)),
        ("tube length", f"{_spread(found.tube_frames)} frames"),
        ("actors at once", str(found.most_actors)),
    ]
    print_facts(console, facts)
    rows = [[one.name, str(one.videos), str(one.tubes), str(one.boxes)] for one in found.classes]
    print_table(console, ("class", "videos", "tubes", "boxes"), rows)
    console.print("Three values are the 5th, 50th and 95th percentiles.")


def _spread(spread: Spread) -> str:
    values = (spread.low, spread.median, spread.high)
    return " / ".join("-" if value is None else f"{value:.3g}" for value in values)
