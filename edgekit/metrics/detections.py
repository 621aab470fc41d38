"""Reads saved detections: the detections of every frame, with the ground truth.

The layout is as follows; the file is gzipped if its name ends in ``.gz``::

    {"schema": 1, "classes": [...], "width": 320, "height": 240,
     "videos": {name: {"frames": n, "fps": 25.0,
                       "gt": [{"label": 0, "start": 0, "end": 30,
                               "boxes_xywh_1based": [[x, y, w, h], ...]}],
                       "detections": [{"boxes": [[x1, y1, x2, y2], ...],
                                       "scores": [{"0": 0.99, "7": 0.28}, ...]}, ...]}}}

``schema`` is missing in files from before it was introduced; their layout is that of schema 1.
``detections`` has one item for each frame; ``null`` stands for a frame that was not processed,
because it was dropped or lost. ``scores`` leaves out classes with score 0. Boxes are in 0-based
continuous pixels, those of the ground truth in 1-based pixels. ``end`` is the frame after the last.
A video whose size differs from that of the file has its own ``width`` and ``height``. Tubes of a
video without ``fps`` are linked as at 25 frames per second.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from edgekit.datasets.annotations import VideoTruth
from edgekit.errors import AnnotationError
from edgekit.files.json_arrays import Name, name_limit
from edgekit.files.reading import read_gzip, read_regular
from edgekit.files.schemas import check_schema, schema_in
from edgekit.metrics._decoding import decode_video, has_tubes, too_many, values_of
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Detections

__all__ = [
    "MOST_BYTES",
    "SCHEMA",
    "SavedDetections",
    "SavedVideo",
    "StoredDetections",
    "StoredVideo",
    "open_detections",
    "read_detections",
]

SCHEMA = 1
"""Version of the layout that this EdgeKit writes, and the newest that it reads."""

_WRITE_AGAIN = "Write them again with: edgekit eval BUNDLE --root FOLDER --save-detections FILE"
# Detections of before there was a schema have none.
_check_schema = partial(
    check_schema,
    newest=SCHEMA,
    what="detections",
    error=AnnotationError,
    hint=_WRITE_AGAIN,
    oldest=0,
)
MOST_BYTES = 1 << 30
"""Largest size of a file of saved detections that is read; UCF101-24's test part takes 0.3 GB."""

_MOST_NAMES = 200_000
_MOST_ARRAYS, _MOST_MEMORY, _LEAST_ARRAYS = 256 << 20, 360 << 20, 64 << 20
"""Largest sizes in bytes of the arrays of a video, of the arrays and the file together, and of the
arrays beside a large file."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedVideo:
    """The detections of one video with its ground truth.

    Attributes:
        truth: Name, size and annotated tubes.
        detections: Detections of each frame; None for a frame that was not processed.

    Raises:
        AnnotationError: The number of detections differs from the number of frames.
    """

    truth: VideoTruth
    detections: Sequence[Detections | None]

    def __post_init__(self) -> None:
        found, expected = len(self.detections), self.truth.frames
        if found != expected:
            raise AnnotationError(
                f"Video '{self.truth.name}' has detections for {found} frames, but its "
                f"annotation has {expected}.",
                hint="Run the detector on the video file that was annotated.",
            )

    @property
    def annotated(self) -> bool:
        """Whether the video has an annotated tube."""
        return bool(self.truth.tubes)

    def load(self) -> SavedVideo:
        """Returns this video, as ``StoredVideo.load`` does."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class SavedDetections:
    """The detections of a dataset; videos are in the order in which they are evaluated."""

    classes: list[str]
    videos: list[SavedVideo]


class StoredVideo(Protocol):
    """The detections of one video, in memory or in a file."""

    @property
    def annotated(self) -> bool:
        """Whether the video has an annotated tube."""

    def load(self) -> SavedVideo:
        """Returns the detections and the ground truth.

        Raises:
            AnnotationError: The file cannot be read, or its content is wrong.
        """


class StoredDetections(Protocol):
    """The detections of a dataset, of which no more than a video at a time need be in memory."""

    @property
    def classes(self) -> list[str]:
        """Class names, by class index."""

    @property
    def videos(self) -> Sequence[StoredVideo]:
        """Videos in the order in which they are evaluated."""


class _DetectionsFile(msgspec.Struct):
    classes: list[Name]
    videos: dict[Name, msgspec.Raw]
    width: int = 320
    height: int = 240
    schema: Any = 0


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedVideo:
    """A video of a file of saved detections, as it is in the file, whose content it shares."""

    path: Path
    name: str
    content: msgspec.Raw
    size: tuple[int, int]
    classes: int
    most: int

    @property
    def annotated(self) -> bool:
        try:
            return has_tubes(self.content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return True  # ``load`` says what is wrong

    def load(self) -> SavedVideo:
        try:
            truth, found = decode_video(self.content, self.name, self.size, self.classes, self.most)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise _wrong(self.path, f"video '{self.name}'", str(error)) from error
        return SavedVideo(truth, found)


@dataclass(frozen=True, slots=True, eq=False)
class _EncodedDetections:
    classes: list[str]
    videos: list[_EncodedVideo]


def read_detections(path: Path) -> SavedDetections:
    """Reads saved detections and checks them.

    Raises:
        AnnotationError: The file is missing or has another layout; the message names the video.
    """
    stored = _open(Path(path))
    videos = []
    values = 0
    for encoded in stored.videos:
        video = encoded.load()
        values += values_of(FrameDetections.of(video.detections, encoded.classes))
        if values > encoded.most:
            what = too_many(encoded.classes, encoded.most)
            raise _wrong(path, f"video '{encoded.name}'", what)
        videos.append(video)
    return SavedDetections(stored.classes, videos)


def open_detections(path: Path) -> StoredDetections:
    """Opens saved detections; each video is decoded and checked when it is loaded.

    Raises:
        AnnotationError: The file is missing or has another layout.
    """
    return _open(Path(path))


def _open(path: Path) -> _EncodedDetections:
    content = b""
    try:
        read = read_gzip if path.suffix == ".gz" else read_regular
        content = read(path, MOST_BYTES)
        file = msgspec.json.decode(content, type=_DetectionsFile, dec_hook=name_limit(_MOST_NAMES))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, EOFError) as error:
        _check_schema(schema_in(content) or 0, path=path)
        raise _wrong(path, "", str(error)) from error
    except zlib.error as error:
        raise _wrong(path, "", f"{error}, and its name ends in .gz") from error
    except OSError as error:
        raise AnnotationError(
            f"Cannot read the detections {path}: {error.strerror}.",
            hint="Write them with: edgekit eval BUNDLE --root FOLDER --save-detections FILE",
        ) from error
    _check_schema(file.schema or 0, path=path)
    if not file.classes or len(set(file.classes)) != len(file.classes):
        raise _wrong(path, "", "'classes' must name at least one class, and each class once")
    # Scores are stored for every class, even if the file contains only a few.
    most = max(min(_MOST_ARRAYS, _MOST_MEMORY - len(content)), _LEAST_ARRAYS) // 8
    size = (file.width, file.height)
    return _EncodedDetections(
        list(map(str, file.classes)),
        [
            _EncodedVideo(path, str(name), raw, size, len(file.classes), most)
            for name, raw in file.videos.items()
        ],
    )


def _wrong(path: Path, where: str, what: str) -> AnnotationError:
    place = f"{path}, {where}" if where else str(path)
    return AnnotationError(
        f"The detections in {place} are wrong: {what}.",
        hint=_WRITE_AGAIN,
    )
