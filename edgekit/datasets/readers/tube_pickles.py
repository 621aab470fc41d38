"""Reads the pickles of ACT, MOC and MultiSports, such as ``UCF101v2-GT.pkl``.

    ROOT/UCF101v2-GT.pkl            one file that ends in -GT.pkl or _GT.pkl
    ROOT/rgb-images/Class/video/00001.jpg, ROOT/Frames/..., ROOT/videos/Class/video.avi

The pickle is a dictionary: ``labels``, ``nframes`` and ``resolution`` (height, width) by video,
``train_videos`` and ``test_videos`` with a list for each split, and ``gttubes``, by video and class
index a list of arrays of ``frame, x1, y1, x2, y2``. Frames count from 1; boxes are in pixels and
are taken as they are. Reading runs nothing that the pickle names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit._parameters import parameter
from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import VideoFinder
from edgekit.datasets._plain_pickle import UnreadablePickle, loads_plain
from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.readers._origin import Origin, only_file
from edgekit.errors import AnnotationError

__all__ = ["TUBE_PICKLES", "read_tube_pickle"]

TUBE_PICKLES = ("*-GT.pkl", "*_GT.pkl", "annotations/*_GT.pkl", "annotations/*-GT.pkl")
"""Patterns of the file below the folder of the dataset."""

_MOST_BYTES = 1 << 27
_MOST_OPERATIONS = 4_000_000
"""Largest number of operations; the 37,701 tubes of MultiSports need a million."""

_LEAST_BYTES = 5
"""Smallest size of a box in bytes: one for each number of its row."""


def read_tube_pickle(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth in a pickle of ACT, MOC or MultiSports; see ``DatasetReader``."""
    origin = only_file(root, TUBE_PICKLES, "moc")
    content = origin.read(_MOST_BYTES)
    try:
        found = loads_plain(content, most=_MOST_OPERATIONS)
    except UnreadablePickle as error:
        raise origin.wrong(
            f"not a readable pickle of annotations ({error})",
            hint="Take the annotations that were published with the dataset.",
        ) from error
    try:
        classes = _names(found["labels"])
        splits = found[f"{part}_videos"]
        names = _names(splits[split - 1])
        tables = {key: found[key] for key in ("nframes", "resolution", "gttubes")}
        if not all(isinstance(table, Mapping) for table in tables.values()):
            raise TypeError("'nframes', 'resolution' and 'gttubes' are not all dictionaries")
    except KeyError as error:
        raise origin.wrong(f"it has no {error}") from error
    except IndexError as error:
        raise origin.wrong(
            f"split {split} was expected; splits of the part {part} in it: {len(splits)}",
            hint=f"Choose one of them with {parameter('split')}.",
        ) from error
    except TypeError as error:
        raise origin.wrong(str(error)) from error
    finder, videos = VideoFinder(root), []
    # A pickle can name the same boxes many times.
    room = [len(content) // _LEAST_BYTES]
    for name in names:
        with leaving_out_faults():
            videos.append(_video(origin, name, tables, len(classes), finder, room))
    return Truth(classes, videos, part)


def _names(values: Any) -> list[str]:
    # The text of other values may be endless: a pickle can nest one value in itself many times.
    if not isinstance(values, (list, tuple)) or not all(type(name) is str for name in values):
        raise TypeError("'labels' and the lists of videos are not all lists of text")
    return list(values)


def _video(
    origin: Origin,
    name: str,
    tables: Mapping[str, Any],
    classes: int,
    finder: VideoFinder,
    room: list[int],
) -> VideoTruth:
    where, tubes = f"video '{name}'", []
    try:
        frames = int(tables["nframes"][name])
        height, width = (int(side) for side in tables["resolution"][name])
        for label, arrays in tables["gttubes"][name].items():
            for array in arrays:
                where = f"video '{name}', class {label!r:.20}"
                tubes += _tubes(label, array, classes, room)
    except KeyError as error:
        raise origin.wrong(
            f"it is in the list of the split, and a table has no {error}", where
        ) from error
    except AnnotationError:
        raise
    except (TypeError, ValueError, OverflowError, IndexError, AttributeError) as error:
        raise origin.wrong(str(error), where) from error
    return origin.video(name, frames, (width, height), tubes, finder.path_of)


def _tubes(label: object, array: Any, classes: int, room: list[int]) -> list[TruthTube]:
    """Returns the spans of an array in which frames follow one another."""
    if not isinstance(label, int) or not 0 <= label < classes:
        raise ValueError(f"label {label!r:.20}, expected 0 to {classes - 1}")
    if not isinstance(array, np.ndarray):
        raise TypeError(f"a {type(array).__name__}, expected an array")
    if array.ndim != 2 or array.shape[1] != 5 or not len(array) or array.dtype.kind not in "iuf":
        raise ValueError(f"an array of shape {array.shape}, expected (n, 5)")
    room[0] -= len(array)
    if room[0] < 0:
        raise ValueError("the file claims more boxes than its size allows")
    rows = array.astype(np.float64)
    steps = np.diff(rows[:, 0])
    if not np.isfinite(rows).all() or (steps < 1).any() or (rows[:, 0] % 1).any():
        raise ValueError("the frames of a tube are not in rising order, or a number is not finite")
    spans = np.split(rows, np.flatnonzero(steps > 1) + 1)
    return [TruthTube(label, int(span[0, 0]) - 1, span[:, 1:].copy()) for span in spans]
