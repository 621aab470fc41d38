"""Reads UCF101-24 and J-HMDB-21 as they were published with ROAD (Singh et al., ICCV 2017).

A folder has these files::

    ROOT/splitfiles/pyannot.pkl        UCF101-24, or finalAnnots.mat with the same tubes
    ROOT/splitfiles/hmdb_annots.pkl    J-HMDB-21; finalAnnots.ma.mat has boxes of its own
    ROOT/splitfiles/testlist01.txt     one video per line, as Class/video; also trainlist01.txt
    ROOT/rgb-images/Class/video/00001.jpg, ROOT/videos/Class/video.avi or ROOT/Class/video.avi

The pickle is a dictionary of videos: ``{"annotations": [{"label", "sf", "ef", "boxes"}], "numf",
"label"}``. Boxes are 1-based ``[x, y, w, h]`` in 320x240 pixels, ``sf`` counts from 0, and ``ef``
is the frame after the last. The ``.mat`` has the same, with ``sf`` and classes counted from 1.
Reading runs nothing that the pickle names.

The two files of J-HMDB-21 differ: the pickle's x, y and w are smaller by 1 in every box. The
evaluation of the paper reads the ``.mat``, which is the dataset ``jhmdb21-mat`` here.

Without a list of the train part, that part has every annotated video that is not in the test list,
as ROAD defines it. A list of all 101 classes of UCF101 is read too: videos of classes without
annotations are left out.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit._parameters import parameter
from edgekit._printable import listed
from edgekit.classes import CLASS_LISTS
from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import VideoFinder
from edgekit.datasets._parts import advice_on_lists
from edgekit.datasets._road_entries import (
    Room,
    boxes_at_most,
    load_entries,
    tube_of,
    wrong_entry,
)
from edgekit.datasets.annotations import (
    MOST_FRAMES,
    Truth,
    VideoTruth,
)
from edgekit.datasets.layouts import DATASETS, WITHOUT_SPLITS
from edgekit.datasets.recognition import advice_on_place, layouts_in
from edgekit.errors import AnnotationError, UsageError
from edgekit.files.reading import read_regular

__all__ = ["read_jhmdb21", "read_jhmdb21_mat", "read_truth", "read_ucf24"]

_LOG = logging.getLogger(__name__)
_WIDTH, _HEIGHT = 320, 240
_MOST_ANNOTATIONS = 1 << 25
_MOST_LIST = 1 << 20
"""Largest sizes of an annotation file and of a split list, in bytes."""


_OF_UCF101 = re.compile(r"(\w+)/v_\1_g\d\d_c\d\d", re.IGNORECASE)
"""Name of a video of UCF101: its class, its recording and its clip."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Class names, and the annotation files in order of preference."""

    classes: tuple[str, ...]
    files: tuple[str, ...]


_LAYOUTS = {
    "ucf24": _Layout(CLASS_LISTS["ucf24"], ("pyannot.pkl", "finalAnnots.mat")),
    "jhmdb21": _Layout(CLASS_LISTS["jhmdb21"], ("hmdb_annots.pkl",)),
    "jhmdb21-mat": _Layout(CLASS_LISTS["jhmdb21"], ("finalAnnots.ma.mat", "finalAnnots.mat")),
}


def read_truth(dataset: str, root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of the videos in one part of a dataset.

    Args:
        dataset: Name in ``edgekit.datasets.layouts.DATASETS``; ``json`` reads
            ``root/annotations.json``.
        root: Folder of the dataset.
        split: Number of the dataset's split; 1 for a layout without splits.
        part: ``test`` or ``train``; ``json`` has only one.

    Raises:
        AnnotationError: A file is missing or does not have the layout.
        UsageError: The dataset is unknown, or has no splits and another one than 1 is asked for.
        PluginError: The dataset's reader comes from a package and cannot be used.
    """
    if dataset not in DATASETS:
        raise UsageError(
            f"{parameter('dataset')} is '{dataset}', expected one of {listed(DATASETS)}.",
            hint=f"For annotations of your own, use {parameter('dataset', 'json')}.",
        )
    if split != 1 and dataset in WITHOUT_SPLITS:
        raise UsageError(
            f"Expected {parameter('split', 1)} for the layout {dataset}, which has no splits; "
            f"found {split}.",
            hint=f"Leave out {parameter('split')}. To divide a dataset into a training and a test "
            "part, run edgekit dataset split.",
        )
    try:
        with DATASETS.attributed(dataset):
            truth = DATASETS[dataset](Path(root), split=split, part=part)
            if not isinstance(truth, Truth):
                raise TypeError(f"expected a Truth; found {type(truth).__name__}")
    except AnnotationError as error:
        found = layouts_in(Path(root))
        if not found and (advice := advice_on_place(Path(root))):
            error.hint = f"{error.hint} {advice}"
        if not found or dataset in found:
            raise
        raise AnnotationError(
            f"{error.message} The layout {dataset} was expected; {root} has the layout {found[0]}.",
            hint=f"Use {parameter('dataset', found[0])}, or convert it: edgekit dataset convert "
            f"{shlex.quote(str(root))} --from {found[0]} -o FOLDER",
        ) from error
    except OSError as error:  # the folder may not be entered, or its name is too long
        raise AnnotationError(
            f"Cannot read the dataset {root}: {error.strerror}.",
            hint="Check the path and its permissions.",
        ) from error
    _refuse_twice(
        Path(root), "video", [video.name for video in truth.videos],
        "Join its annotations to one entry, or give the videos different names.",
    )  # fmt: skip
    _refuse_twice(
        Path(root), "class", truth.classes, "Join the classes, or give them different names."
    )
    return truth


def _refuse_twice(root: Path, what: str, names: Iterable[str], hint: str) -> None:
    """Raises if annotations list something twice: names are all that tells videos and classes."""
    for name, count in Counter(names).items():
        with leaving_out_faults():
            if count > 1:
                raise AnnotationError(
                    f"Wrong annotation in {root}: the {what} '{name}' is listed {count} times.",
                    hint=hint,
                )


def read_ucf24(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of UCF101-24; see ``DatasetReader``."""
    return _read_layout(_LAYOUTS["ucf24"], root, split, part)


def read_jhmdb21(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of J-HMDB-21 in the pickle; see ``DatasetReader``."""
    return _read_layout(_LAYOUTS["jhmdb21"], root, split, part)


def read_jhmdb21_mat(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of J-HMDB-21 in the ``.mat``; see ``DatasetReader``."""
    return _read_layout(_LAYOUTS["jhmdb21-mat"], root, split, part)


def _read_layout(layout: _Layout, root: Path, split: int, part: str) -> Truth:
    lists = root / "splitfiles"
    own = lists / f"{part}list{split:02d}.txt"
    is_rest = part == "train" and not own.exists()
    listed = _video_list(lists / f"testlist{split:02d}.txt" if is_rest else own)
    found = [name for name in layout.files if (lists / name).exists()]
    path = lists / (found or layout.files)[0]
    content = _read(path, _MOST_ANNOTATIONS)
    annotated = load_entries(path, content)
    if is_rest:
        names = sorted(annotated.keys() - set(listed))
    else:
        names = _annotated_names(listed, annotated, layout.classes)
    videos, finder = [], VideoFinder(root)
    room = Room(boxes_at_most(path, content, annotated))
    for name in names:
        with leaving_out_faults():
            if name not in annotated:
                raise wrong_entry(
                    path, f"video '{name}'", "it is in the list of the split and not annotated"
                )
            videos.append(_video(path, name, annotated[name], finder, len(layout.classes), room))
    return Truth(list(layout.classes), videos, part)


def _video_list(path: Path) -> list[str]:
    lines = _read(path, _MOST_LIST).decode("utf-8-sig", "replace").split("\n")
    # Some copies list the video's file name and its label: Class/video.avi 1.
    names = [line.split()[0].removesuffix(".avi") for line in lines if line.strip()]
    if not names:
        raise wrong_entry(path, "", "no video in the list")
    return names


def _annotated_names(
    names: list[str], annotated: Mapping[str, Any], classes: tuple[str, ...]
) -> list[str]:
    """Returns the names of a list; of one with all 101 classes, those that are annotated."""
    others = [name for name in names if name not in annotated and _OF_UCF101.fullmatch(name)]
    if all(name.partition("/")[0] in classes for name in others):
        return names
    known = sum(name.partition("/")[0] in classes for name in others)
    _LOG.info(
        "The list has other classes too: %d of its %d videos are not annotated and are left out, "
        "among them %d of annotated classes.", len(others), len(names), known,
    )  # fmt: skip
    left_out = set(others)
    return [name for name in names if name not in left_out]


def _video(
    path: Path, name: str, entry: Any, finder: VideoFinder, classes: int, room: Room
) -> VideoTruth:
    where = f"video '{name}'"
    tubes = []
    try:
        frames, label = int(entry["numf"]), int(entry["label"])
        for number, item in enumerate(entry["annotations"]):
            where = f"video '{name}', tube {number}"
            tubes.append(tube_of(item, frames, classes, room))
        where = f"video '{name}'"
        if not 1 <= frames <= MOST_FRAMES:
            raise ValueError(f"{frames} frames, expected 1 to {MOST_FRAMES}")
        place = finder.path_of(name)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise wrong_entry(path, where, what) from error
    return VideoTruth(name, frames, _WIDTH, _HEIGHT, tubes, label, place)


def _read(path: Path, most: int) -> bytes:
    try:
        return read_regular(path, most)
    except OSError as error:
        raise AnnotationError(
            f"Cannot read {path}: {error.strerror}.",
            hint=advice_on_lists(path)
            or f"Name the dataset's folder with {parameter('root')}: it holds splitfiles/ and "
            "rgb-images/.",
        ) from error
