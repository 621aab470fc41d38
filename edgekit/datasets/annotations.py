"""Reads ground truth, the actors and actions in each video, from EdgeKit's own JSON layout.

One file describes a folder of videos::

    {"schema": 1,
     "classes": ["Basketball", ...],
     "videos": {"clip.mp4": {"width": 340, "height": 256, "frames": 75, "label": 0,
                             "tubes": [{"label": 0, "start": 14, "end": 64,
                                        "boxes": [[x1, y1, x2, y2], ...]}]}}}

Labels are indices into ``classes``. Frames count from 0, and ``end`` is the frame after the last.
Boxes are in pixels of that video, 0-based and continuous, one for each frame from ``start``.
``schema`` may be left out. Other fields are ignored.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgekit.datasets._faults import leaving_out_faults
from edgekit.datasets._locations import place_below
from edgekit.datasets._parts import is_outdated, missing_part, other_part
from edgekit.errors import AnnotationError, MediaError
from edgekit.files.json_arrays import Name, boxes_in, name_limit
from edgekit.files.reading import read_regular, without_mark
from edgekit.files.schemas import check_schema, schema_in
from edgekit.runtime.types import Array

__all__ = [
    "MOST_BYTES",
    "MOST_FRAMES",
    "SCHEMA",
    "Truth",
    "TruthTube",
    "VideoTruth",
    "read_annotations",
    "read_folder",
]

SCHEMA = 1
"""Version of the layout that this EdgeKit writes, and the newest that it reads."""

MOST_FRAMES = 10_000_000
"""Largest number of frames in a video: over four days at 25 per second."""

_CORRECT = "Correct the file; edgekit.datasets.annotations documents the layout."
# Annotations that people write need no schema.
_check_schema = partial(
    check_schema,
    newest=SCHEMA,
    what="annotations",
    error=AnnotationError,
    hint=_CORRECT,
    oldest=0,
)
_LOG = logging.getLogger(__name__)
_TOLERANCE = 1.0
_MOST_NAMES, _MOST_TUBES = 200_000, 500_000
_AT_ONCE = 100_000
_LONGEST_SIDE = 1 << 16
MOST_BYTES = 1 << 26
"""Largest size of a file of annotations that is read."""


@dataclass(frozen=True, slots=True, eq=False)
class TruthTube:
    """One annotated action.

    Attributes:
        label: Class index.
        start: Index of the first frame.
        boxes: Boxes, (n, 4) float64, one per frame, in 0-based continuous pixels.
    """

    label: int
    start: int
    boxes: Array

    @property
    def end(self) -> int:
        """Index of the last frame, inclusive."""
        return self.start + len(self.boxes) - 1


@dataclass(frozen=True, slots=True, eq=False)
class VideoTruth:
    """Ground truth of one video.

    Attributes:
        name: Name, unique within the dataset.
        frames: Number of frames.
        width: Width in pixels.
        height: Height in pixels.
        tubes: Actions in the video.
        label: Class of the whole video; None if it has none.
        path: Path of the video or of its folder of frames; None if unknown.
    """

    name: str
    frames: int
    width: int
    height: int
    tubes: list[TruthTube] = field(default_factory=list)
    label: int | None = None
    path: Path | None = None

    def require_path(self) -> Path:
        """Returns the path of the video or of its folder of frames.

        Raises:
            MediaError: The path is unknown.
        """
        if self.path is None:
            raise MediaError(
                f"The annotations name the video '{self.name}', but EdgeKit did not find its file.",
                hint="Put the video into the folder of its annotations.",
            )
        return self.path


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """An annotated dataset, with videos in the order of evaluation.

    ``part`` is the part that the annotations name for these videos, "" if they name none.
    """

    classes: list[str]
    videos: list[VideoTruth]
    part: str = ""


class _AnnotatedTube(msgspec.Struct):
    label: int
    start: int
    end: int
    boxes: msgspec.Raw


class _AnnotatedVideo(msgspec.Struct):
    width: int
    height: int
    frames: int
    tubes: list[_AnnotatedTube]
    label: int | None = None


class _AnnotationFile(msgspec.Struct):
    classes: list[Name]
    videos: dict[Name, msgspec.Raw]
    schema: Any = 0


def read_folder(root: Path, *, split: int = 1, part: str = "test") -> Truth:
    """Returns the ground truth in ``root/annotations.json``, whose only part is for all purposes.

    If there is an ``annotations-train.json`` or ``annotations-test.json``, as ``edgekit dataset
    split`` writes them, the part of that name is in it.

    Raises:
        AnnotationError: The file is missing or does not have the layout, or there is the file of
            the other part only.
    """
    del split
    every, own = root / "annotations.json", root / f"annotations-{part}.json"
    if not own.exists():
        other = root / f"annotations-{other_part(part)}.json"
        if other.exists():
            raise missing_part(root, part, own.name, [other])
        return read_annotations(every)
    if is_outdated(own, every):
        _LOG.warning(
            "%s is newer than %s, which is read. Run edgekit dataset split again.", every, own
        )
    return replace(read_annotations(own), part=part)


def read_annotations(path: Path) -> Truth:
    """Reads EdgeKit's own annotations and checks them.

    A box may reach over the edge of its video by one pixel, as rounded annotations do.

    Args:
        path: Path of the JSON file. Each video's name is a path below the folder of this file.

    Raises:
        AnnotationError: The file is missing, does not have the layout, or has a video name that
            leads out of the folder, or to a device or a pipe. The message names video and tube.
    """
    path = Path(path)
    content = b""
    try:
        content = without_mark(read_regular(path, MOST_BYTES))
        file = msgspec.json.decode(content, type=_AnnotationFile, dec_hook=name_limit(_MOST_NAMES))
    except OSError as error:
        raise AnnotationError(
            f"Cannot read the annotations {path}: {error.strerror}.",
            hint="Name the folder that holds annotations.json and the videos beside it.",
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _check_schema(schema_in(content) or 0, path=path)
        raise _wrong(path, "", str(error)) from error
    _check_schema(file.schema or 0, path=path)
    if not file.classes or len(set(file.classes)) != len(file.classes):
        raise _wrong(path, "", "'classes' has to name each class once, and one at least")
    videos: list[VideoTruth] = []
    tubes = 0
    for name, raw in file.videos.items():
        with leaving_out_faults():
            videos.append(_video(path, file.classes, str(name), raw, _MOST_TUBES - tubes))
            tubes += len(videos[-1].tubes)
    return Truth(list(map(str, file.classes)), videos)


def _video(
    path: Path, classes: Sequence[str], name: str, raw: msgspec.Raw, most_tubes: int
) -> VideoTruth:
    where = f"video '{name}'"
    try:
        video = msgspec.json.decode(raw, type=_AnnotatedVideo)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(path, where, str(error)) from error
    if min(video.frames, video.width, video.height) < 1:
        raise _wrong(path, where, "'frames', 'width' and 'height' have to be at least 1")
    if video.frames > MOST_FRAMES or max(video.width, video.height) > _LONGEST_SIDE:
        found = f"{video.frames} frames of {video.width}x{video.height}"
        raise _wrong(path, where, f"{found}; at most {MOST_FRAMES} of {_LONGEST_SIDE} are read")
    if len(video.tubes) > most_tubes:
        raise _wrong(path, where, f"the file has more than {_MOST_TUBES} tubes")
    if video.label is not None:
        _check_label(path, where, classes, video.label)
    size = (video.width, video.height)
    tubes = []
    for number, tube in enumerate(video.tubes):
        which = f"{where}, tube {number}"
        with leaving_out_faults():
            _check_label(path, which, classes, tube.label)
            _check_span(path, which, tube, video.frames)
            try:
                boxes = boxes_in(tube.boxes, tube.end - tube.start)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise _wrong(path, which, str(error)) from error
            _check_boxes(path, which, tube.start, boxes, size)
            tubes.append(TruthTube(tube.label, tube.start, boxes))
    try:
        place = place_below(path.parent, name)
    except ValueError as error:
        raise _wrong(path, where, str(error)) from error
    return VideoTruth(name, video.frames, *size, tubes, video.label, place)


def _check_label(path: Path, where: str, classes: Sequence[str], label: int) -> None:
    if not 0 <= label < len(classes):
        raise _wrong(path, where, f"label {label}, expected 0 to {len(classes) - 1}")


def _check_span(path: Path, where: str, tube: _AnnotatedTube, frames: int) -> None:
    if not 0 <= tube.start < tube.end:
        raise _wrong(path, where, f"it goes from {tube.start} to {tube.end}, end not included")
    if tube.end > frames:
        raise _wrong(path, where, f"it ends at {tube.end}, and the video has {frames} frames")


def _check_boxes(path: Path, where: str, start: int, boxes: Array, size: tuple[int, int]) -> None:
    for first in range(0, len(boxes), _AT_ONCE):
        low, high = boxes[first : first + _AT_ONCE, :2], boxes[first : first + _AT_ONCE, 2:]
        outside = (low < -_TOLERANCE) | (high > np.add(size, _TOLERANCE)) | (high <= low)
        for place in np.flatnonzero(outside.any(1))[:1]:
            frame = first + int(place)
            _check_box(path, f"{where}, frame {start + frame}", boxes[frame].tolist(), size)


def _check_box(path: Path, where: str, box: Sequence[float], size: tuple[int, int]) -> None:
    x1, y1, x2, y2 = box
    if not all(map(math.isfinite, box)):
        raise _wrong(path, where, f"the box {list(box)} is not finite")
    if x2 <= x1 or y2 <= y1:
        raise _wrong(path, where, f"the box {list(box)} is empty; expected [x1, y1, x2, y2]")
    outside = max(-x1, -y1, x2 - size[0], y2 - size[1])
    if outside > _TOLERANCE:
        raise _wrong(path, where, f"the box {list(box)} leaves its {size[0]}x{size[1]} picture")


def _wrong(path: Path, where: str, what: str) -> AnnotationError:
    place = f"{path}, {where}" if where else str(path)
    return AnnotationError(
        f"Wrong annotation in {place}: {what}.",
        hint=_CORRECT,
    )
