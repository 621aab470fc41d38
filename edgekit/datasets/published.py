"""Reads the published layouts of UCF101-24 and J-HMDB-21.

Both layouts are those of the corrected annotations that came with ROAD (Singh et al., ICCV 2017)::

    ROOT/splitfiles/pyannot.pkl        UCF101-24; hmdb_annots.pkl for J-HMDB-21
        ROOT/splitfiles/testlist01.txt     one video per line, as Class/video; also trainlist01.txt
    ROOT/rgb-images/Class/video/00001.jpg

The pickle is a dictionary of videos: ``{"annotations": [{"label", "sf", "ef", "boxes"}], "numf",
"label"}``. Boxes are 1-based ``[x, y, w, h]`` in 320x240 pixels, ``sf`` counts from 0, and ``ef``
is the frame after the last. Reading runs nothing that the pickle names: it may hold only plain
containers, numbers and arrays of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit._parameters import parameter
from edgekit.classes import CLASS_LISTS
from edgekit.datasets._plain_pickle import UnreadablePickle, loads_plain
from edgekit.datasets.annotations import (
    MOST_FRAMES,
    Truth,
    TruthTube,
    VideoTruth,
)
from edgekit.datasets.layouts import DATASETS
from edgekit.errors import AnnotationError, UsageError
from edgekit.files.reading import path_below, read_regular
from edgekit.runtime.types import Array

__all__ = ["read_jhmdb21", "read_truth", "read_ucf24"]

_WIDTH, _HEIGHT = 320, 240
_MOST_PICKLE = 1 << 25
_MOST_LIST = 1 << 20
"""Largest sizes of a pickle and of a split list, in bytes."""

_LEAST_BYTES = 4
"""Smallest size of a box in bytes: one byte for each number."""


@dataclass(frozen=True, slots=True)
class _Layout:
    classes: tuple[str, ...]
    pickle: str


_LAYOUTS = {
    "ucf24": _Layout(CLASS_LISTS["ucf24"], "pyannot.pkl"),
    "jhmdb21": _Layout(CLASS_LISTS["jhmdb21"], "hmdb_annots.pkl"),
}


def read_truth(dataset: str, root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of the videos in one part of a dataset.

    Args:
        dataset: Name in ``edgekit.datasets.layouts.DATASETS``; ``json`` reads
            ``root/annotations.json``.
        root: Folder of the dataset.
        split: Number of the dataset's split; ``json`` has only one.
        part: ``test`` or ``train``; ``json`` has only one.

    Raises:
        AnnotationError: A file is missing or does not have the layout.
        UsageError: The dataset is unknown.
        PluginError: The dataset's reader comes from a package and cannot be used.
    """
    if dataset not in DATASETS:
        raise UsageError(
            f"{parameter('dataset')} is '{dataset}', expected one of {', '.join(DATASETS)}.",
            hint=f"For annotations of your own, use {parameter('dataset', 'json')}.",
        )
    with DATASETS.attributed(dataset):
        truth = DATASETS[dataset](Path(root), split=split, part=part)
        if not isinstance(truth, Truth):
            raise TypeError(f"expected a Truth; found {type(truth).__name__}")
    return truth


def read_ucf24(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of UCF101-24; see ``DatasetReader``."""
    return _read_layout(_LAYOUTS["ucf24"], root, split, part)


def read_jhmdb21(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth of J-HMDB-21; see ``DatasetReader``."""
    return _read_layout(_LAYOUTS["jhmdb21"], root, split, part)


def _read_layout(layout: _Layout, root: Path, split: int, part: str) -> Truth:
    names = _video_list(root / "splitfiles" / f"{part}list{split:02d}.txt")
    path = root / "splitfiles" / layout.pickle
    content = _read(path, _MOST_PICKLE)
    annotated = _load_plain(path, content)
    if not isinstance(annotated, dict):
        raise _wrong(path, "", f"a {type(annotated).__name__} instead of a dictionary of videos")
    videos = []
    room = _Room(len(content) // _LEAST_BYTES)
    for name in names:
        if name not in annotated:
            raise _wrong(
                path, f"video '{name}'", "it is in the list of the split and not annotated"
            )
        videos.append(_video(path, name, annotated[name], root, len(layout.classes), room))
    return Truth(list(layout.classes), videos)


def _video_list(path: Path) -> list[str]:
    lines = _read(path, _MOST_LIST).decode("utf-8", "replace").split("\n")
    # Some copies list the video's file name and its label: Class/video.avi 1.
    names = [line.split()[0].removesuffix(".avi") for line in lines if line.strip()]
    if not names:
        raise _wrong(path, "", "no video in the list")
    return names


def _video(path: Path, name: str, entry: Any, root: Path, classes: int, room: _Room) -> VideoTruth:
    where = f"video '{name}'"
    tubes = []
    try:
        frames, label = int(entry["numf"]), int(entry["label"])
        for number, item in enumerate(entry["annotations"]):
            where = f"video '{name}', tube {number}"
            tubes.append(_tube(item, frames, classes, room))
        if not 1 <= frames <= MOST_FRAMES:
            raise ValueError(f"{frames} frames, expected 1 to {MOST_FRAMES}")
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise _wrong(path, where, what) from error
    try:
        folder = path_below(root / "rgb-images", name)
    except ValueError as error:
        raise _wrong(path, f"video '{name}'", str(error)) from error
    return VideoTruth(name, frames, _WIDTH, _HEIGHT, tubes, label, folder)


class _Room:
    """Limits the boxes read from a pickle, because it can name the same boxes many times.

    Args:
        boxes: Largest number of boxes that the bytes of the pickle could hold.
    """

    def __init__(self, boxes: int) -> None:
        self._boxes = boxes

    def take(self, value: Any) -> Array:
        """Returns the boxes of a tube, (n, 4) float64.

        Raises:
            ValueError: The value holds no boxes, or more than the pickle can hold.
        """
        count = value.size // 4 if isinstance(value, np.ndarray) else len(value)
        self._boxes -= count
        if self._boxes < 0:
            raise ValueError("the file claims more boxes than its size allows")
        if not isinstance(value, np.ndarray):
            if not all(len(row) == 4 for row in value):
                raise ValueError("a box does not have four numbers")
            value = [[float(side) for side in row] for row in value]
        # The stored bytes or 16-bit numbers would overflow in sums.
        return np.array(value, np.float64).reshape(-1, 4)


def _tube(item: Mapping[str, Any], frames: int, classes: int, room: _Room) -> TruthTube:
    label, start, stop = int(item["label"]), int(item["sf"]), int(item["ef"])
    boxes = room.take(item["boxes"])
    if not 0 <= label < classes:
        raise ValueError(f"label {label}, expected 0 to {classes - 1}")
    if not 0 <= start < stop <= frames:
        raise ValueError(
            f"a tube runs from frame {start} to frame {stop}, but the video has {frames} frames"
        )
    if len(boxes) != stop - start:
        raise ValueError(f"{len(boxes)} boxes for {stop - start} frames")
    if not np.isfinite(boxes).all():
        raise ValueError("a box has an infinite or NaN coordinate")
    boxes[:, :2] -= 1.0
    boxes[:, 2:] += boxes[:, :2]
    return TruthTube(label, start, boxes)


def _load_plain(path: Path, content: bytes) -> Any:
    try:
        return loads_plain(content)
    except UnreadablePickle as error:
        raise _wrong(path, "", f"not a readable pickle of annotations ({error})") from error


def _read(path: Path, most: int) -> bytes:
    try:
        return read_regular(path, most)
    except OSError as error:
        raise AnnotationError(
            f"Cannot read {path}: {error.strerror}.",
            hint=f"Name the dataset's folder with {parameter('root')}: it holds splitfiles/ and "
            "rgb-images/.",
        ) from error


def _wrong(path: Path, where: str, what: str) -> AnnotationError:
    place = f"{path}, {where}" if where else str(path)
    return AnnotationError(
        f"Wrong annotation in {place}: {what}.",
        hint="Take the corrected annotations that belong to this dataset.",
    )
