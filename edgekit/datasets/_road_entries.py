"""Reads the annotation files of ROAD's layout: a pickle, or a MATLAB file with the same content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.datasets._matlab import UnreadableMat, loads_mat
from edgekit.datasets._plain_pickle import UnreadablePickle, loads_plain
from edgekit.datasets.annotations import TruthTube
from edgekit.errors import AnnotationError
from edgekit.runtime.types import Array

__all__ = ["Room", "boxes_at_most", "load_entries", "tube_of", "wrong_entry"]

_LEAST_BYTES = 4
"""Smallest size of a box in a pickle, in bytes: one byte for each number."""


def load_entries(path: Path, content: bytes) -> dict[str, Any]:
    """Returns the entry of each video by its name, as the pickle has them.

    Raises:
        AnnotationError: The content is not readable.
    """
    try:
        if path.suffix == ".mat":
            return _plain(loads_mat(content)["annot"])
        annotated = loads_plain(content)
    except UnreadablePickle as error:
        raise wrong_entry(path, "", f"not a readable pickle of annotations ({error})") from error
    except (UnreadableMat, KeyError, TypeError, ValueError, IndexError) as error:
        what = "no 'annot' of this layout" if isinstance(error, KeyError) else str(error)
        raise wrong_entry(path, "", f"not a readable .mat of annotations ({what})") from error
    if not isinstance(annotated, dict):
        raise wrong_entry(
            path, "", f"a {type(annotated).__name__} instead of a dictionary of videos"
        )
    return annotated


def _plain(videos: Any) -> dict[str, Any]:
    """Returns the structures of a ``.mat`` as the pickle has them."""
    annotated = {}
    for video in videos:
        tubes = [
            {
                "label": _number(tube["class"]) - 1,
                "sf": _number(tube["sf"]) - 1,
                "ef": _number(tube["ef"]),
                "boxes": tube["boxes"],
            }
            for tube in video["tubes"]
        ]
        annotated[video["name"]] = {
            "annotations": tubes,
            "numf": _number(video["num_imgs"]),
            "label": tubes[0]["label"],
        }
    return annotated


def _number(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise TypeError(f"a {type(value).__name__} where one number was expected")
    return value.item()


def boxes_at_most(path: Path, content: bytes, annotated: Mapping[str, Any]) -> int:
    """Returns the number of boxes that a file can hold; the arrays of a ``.mat`` are its own."""
    if path.suffix != ".mat":
        return len(content) // _LEAST_BYTES
    return sum(len(tube["boxes"]) for video in annotated.values() for tube in video["annotations"])


class Room:
    """Limits the boxes read from a pickle, because it can name the same boxes many times.

    Args:
        boxes: Largest number of boxes that the bytes of the pickle could hold.
    """

    def __init__(self, boxes: int) -> None:
        self._boxes = boxes

    def take(self, value: Any) -> Array:
        """Returns the boxes of a tube, (n, 4) float64.

        Raises:
            ValueError: The value holds no boxes, or more than the file can hold.
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


def tube_of(item: Mapping[str, Any], frames: int, classes: int, room: Room) -> TruthTube:
    """Returns a tube with its boxes in 0-based corners.

    Raises:
        ValueError: Label, span or boxes are wrong; so are other errors of what is missing.
    """
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


def wrong_entry(path: Path, where: str, what: str) -> AnnotationError:
    """Returns the error that names a file, a place in it, and what is wrong there."""
    place = f"{path}, {where}" if where else str(path)
    return AnnotationError(
        f"Wrong annotation in {place}: {what}.",
        hint="Take the corrected annotations that belong to this dataset.",
    )
