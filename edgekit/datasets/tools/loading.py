"""Reads a dataset for the tools: one part or all parts, in a named or a recognized layout."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from edgekit._checks import check_choice, check_range
from edgekit._options import check_types
from edgekit._parameters import parameter
from edgekit._printable import listed
from edgekit.datasets._parts import is_outdated, other_part
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth, read_annotations
from edgekit.datasets.layouts import DATASETS, PARTS
from edgekit.datasets.published import read_truth
from edgekit.datasets.recognition import advice_on_place, layouts_in
from edgekit.datasets.relabelling import in_one_list
from edgekit.errors import AnnotationError

__all__ = [
    "DatasetChoice",
    "joined",
    "layout_of",
    "part_names",
    "read_parts",
    "read_undivided",
    "whole",
]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DatasetChoice:
    """Dataset for a tool.

    Attributes:
        root: Folder of the dataset.
        dataset: Name in ``edgekit.datasets.layouts.DATASETS``; None to recognize it.
        split: Number of the dataset's split, 1 to 3.
        part: One of ``edgekit.datasets.layouts.PARTS``.
    """

    root: Path
    dataset: str | None = None
    split: int = 1
    part: str = "all"

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("dataset", self.dataset, DATASETS)
        check_choice("part", self.part, PARTS)
        check_range("split", self.split, 1, 3)


def layout_of(choice: DatasetChoice) -> str:
    """Returns the name of the layout, recognized by the files of the folder if none is chosen.

    Raises:
        AnnotationError: The folder is missing, or its layout is not recognized.
    """
    if choice.dataset is not None:
        return choice.dataset
    found = layouts_in(choice.root)
    if not found:
        root = choice.root
        what = "has no annotations that EdgeKit knows" if root.is_dir() else "is no folder"
        usual = f"Name it with {parameter('dataset')}; docs/datasets.md has the files of each."
        if not root.is_dir():
            usual = "Name the folder that holds the annotations and the videos."
        raise AnnotationError(
            f"{root} {what}. Expected one of the layouts {listed(DATASETS)}.",
            hint=(advice_on_place(root) or usual) if root.exists() else "Check the path.",
        )
    _LOG.info("%s has the layout %s.", choice.root, found[0])
    if found[1:]:
        _LOG.warning(
            "EdgeKit reads the layout %s of %s. To choose %s, use %s.",
            found[0], choice.root, " or ".join(found[1:]), parameter("dataset"),
        )  # fmt: skip
    return found[0]


def read_parts(choice: DatasetChoice) -> dict[str, Truth]:
    """Returns the ground truth of each part; one part, ``all``, if the layout has no parts.

    Parts have one list of classes.

    Raises:
        AnnotationError: A file is missing or does not have the layout.
    """
    layout = layout_of(choice)
    parts: dict[str, Truth] = {}
    for name in part_names(choice):
        try:
            parts[name] = read_truth(layout, choice.root, split=choice.split, part=name)
        except AnnotationError as error:
            other = replace(choice, dataset=layout, part=other_part(name))
            if choice.part == "all" and _is_readable(other):
                advice = f"For the other part: {parameter('part', other.part)}"
                raise AnnotationError(error.message, hint=f"{error.hint} {advice}") from error
            raise
    parts = joined(parts)
    return dict(zip(parts, in_one_list(list(parts.values())), strict=True))


def read_undivided(choice: DatasetChoice) -> Truth:
    """Returns all videos of a dataset, to divide them.

    If ``annotations.json`` has changed since it was divided, its parts are not read.

    Raises:
        AnnotationError: A file is missing or does not have the layout.
    """
    layout, every = layout_of(choice), choice.root / "annotations.json"
    if layout == "json" and (choice.part, choice.split) == ("all", 1):
        parts = (choice.root / f"annotations-{name}.json" for name in part_names(choice))
        if any(is_outdated(part, every) for part in parts):
            return read_annotations(every)
    return whole(read_parts(replace(choice, dataset=layout)))


def _is_readable(choice: DatasetChoice) -> bool:
    try:
        read_parts(choice)
    except AnnotationError:
        return False
    return True


def part_names(choice: DatasetChoice) -> tuple[str, ...]:
    """Returns the names of the parts that are to be read."""
    return ("train", "test") if choice.part == "all" else (choice.part,)


def joined(parts: dict[str, Truth]) -> dict[str, Truth]:
    """Returns parts as they are, or as one part, ``all``, if a reader takes no parts.

    It then gives the same videos for both, and names no part.
    """
    names = [[video.name for video in truth.videos] for truth in parts.values()]
    is_all = len(names) == 2 and names[0] == names[1]
    is_all = is_all and not any(truth.part for truth in parts.values())
    return {"all": parts["train"]} if is_all else parts


def whole(parts: dict[str, Truth]) -> Truth:
    """Returns all videos of some parts as one dataset, each once, with its actions of all parts."""
    truths = in_one_list(list(parts.values()))
    videos: dict[tuple[str, Path | None], VideoTruth] = {}
    for video in (video for truth in truths for video in truth.videos):
        key = video.name, video.path
        videos[key] = _united(videos[key], video) if key in videos else video
    return Truth(truths[0].classes, list(videos.values()))


def _united(one: VideoTruth, other: VideoTruth) -> VideoTruth:
    """Returns a video with the tubes of two annotations; those that are in both are there once."""
    known = {_content(tube) for tube in one.tubes}
    more = [tube for tube in other.tubes if _content(tube) not in known]
    return replace(one, tubes=[*one.tubes, *more], frames=max(one.frames, other.frames))


def _content(tube: TruthTube) -> tuple[int, int, bytes]:
    return tube.label, tube.start, tube.boxes.tobytes()
