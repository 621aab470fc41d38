"""Reads saved detections: the detections of every frame, with the ground truth.

The layout is as follows; the file is gzipped if its name ends in ``.gz``::

    {"classes": [...], "width": 320, "height": 240,
     "videos": {name: {"frames": n,
                       "gt": [{"label": 0, "start": 0, "end": 30,
                               "boxes_xywh_1based": [[x, y, w, h], ...]}],
                       "detections": [{"boxes": [[x1, y1, x2, y2], ...],
                                       "scores": [{"0": 0.99, "7": 0.28}, ...]}, ...]}}}

``detections`` has one item for each frame; ``null`` stands for a frame that was not processed,
because it was dropped or lost. ``scores`` leaves out classes with score 0. Boxes are in 0-based
continuous pixels, those of the ground truth in 1-based pixels. ``end`` is the frame after the last.
A video whose size differs from that of the file has its own ``width`` and ``height``.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.errors import AnnotationError
from edgekit.files.reading import read_gzip, read_regular
from edgekit.runtime.types import Array, Detections

__all__ = ["SavedDetections", "SavedVideo", "read_detections"]

_MOST_BYTES = 1 << 28
_LEAST_SCORES = 1 << 24
_SCORES_A_BYTE = 4
"""Of files with 80 classes there are less than two scores for a byte."""


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


@dataclass(frozen=True, slots=True, eq=False)
class SavedDetections:
    """The detections of a dataset; videos are in the order in which they are evaluated."""

    classes: list[str]
    videos: list[SavedVideo]


class _Frame(msgspec.Struct):
    boxes: list[tuple[float, float, float, float]]
    scores: list[dict[str, float]]


class _SavedTube(msgspec.Struct):
    label: int
    start: int
    end: int
    boxes_xywh_1based: list[tuple[float, float, float, float]]


class _SavedVideo(msgspec.Struct):
    frames: int
    detections: list[_Frame | None]
    gt: list[_SavedTube] = []
    width: int | None = None
    height: int | None = None


class _DetectionsFile(msgspec.Struct):
    classes: list[str]
    videos: dict[str, msgspec.Raw]
    width: int = 320
    height: int = 240


def read_detections(path: Path) -> SavedDetections:
    """Reads saved detections and checks them.

    Raises:
        AnnotationError: The file is missing or has another layout; the message names the video.
    """
    path = Path(path)
    try:
        read = read_gzip if path.suffix == ".gz" else read_regular
        content = read(path, _MOST_BYTES)
        file = msgspec.json.decode(content, type=_DetectionsFile)
    except (
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
        EOFError,
        zlib.error,
    ) as error:
        raise _wrong(path, "", str(error)) from error
    except gzip.BadGzipFile as error:
        raise _wrong(path, "", f"{error}, and its name ends in .gz") from error
    except OSError as error:
        raise AnnotationError(
            f"Cannot read the detections {path}: {error.strerror}.",
            hint="Write them with: edgekit run --source VIDEO --save-detections FILE",
        ) from error
    if not file.classes or len(set(file.classes)) != len(file.classes):
        raise _wrong(path, "", "'classes' must name at least one class, and each class once")
    videos = []
    # Scores are stored for every class, even if the file contains only a few.
    room = max(_LEAST_SCORES, _SCORES_A_BYTE * len(content))
    for name, raw in file.videos.items():
        try:
            video = msgspec.json.decode(raw, type=_SavedVideo)
            room -= len(file.classes) * sum(
                len(frame.boxes) for frame in video.detections if frame is not None
            )
            if room < 0:
                raise ValueError(
                    f"the file claims more boxes, with {len(file.classes)} classes each, than its "
                    f"{len(content)} bytes can hold"
                )
            videos.append(_video(file, name, video))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise _wrong(path, f"video '{name}'", str(error)) from error
    return SavedDetections(file.classes, videos)


def _video(file: _DetectionsFile, name: str, video: _SavedVideo) -> SavedVideo:
    if len(video.detections) != video.frames:
        raise ValueError(f"detections for {len(video.detections)} of {video.frames} frames")
    width, height = video.width or file.width, video.height or file.height
    if min(width, height) < 1:
        raise ValueError(f"picture size {width}x{height}, expected at least 1x1 pixels")
    classes = len(file.classes)
    tubes = [
        _truth_tube(tube, f"gt {number}", video.frames, classes)
        for number, tube in enumerate(video.gt)
    ]
    label = tubes[0].label if tubes else None
    truth = VideoTruth(name, video.frames, width, height, tubes, label)
    detections = [
        None if frame is None else _detections(frame, f"frame {number}", classes)
        for number, frame in enumerate(video.detections)
    ]
    return SavedVideo(truth, detections)


def _truth_tube(tube: _SavedTube, where: str, frames: int, classes: int) -> TruthTube:
    if not 0 <= tube.label < classes:
        raise ValueError(f"{where}: label {tube.label}, expected 0 to {classes - 1}")
    if not 0 <= tube.start < tube.end <= frames:
        raise ValueError(
            f"{where}: the tube runs from frame {tube.start} to frame {tube.end}, but the "
            f"video has {frames} frames"
        )
    if len(tube.boxes_xywh_1based) != tube.end - tube.start:
        found, expected = len(tube.boxes_xywh_1based), tube.end - tube.start
        raise ValueError(f"{where}: {found} boxes for {expected} frames")
    boxes = np.array(tube.boxes_xywh_1based, np.float64)
    if not np.isfinite(boxes).all() or boxes[:, 2:].min() <= 0:
        raise ValueError(f"{where}: a box [x, y, w, h] is empty or not finite")
    boxes[:, :2] -= 1.0
    boxes[:, 2:] += boxes[:, :2]
    return TruthTube(tube.label, tube.start, boxes)


def _detections(frame: _Frame, where: str, classes: int) -> Detections:
    if len(frame.scores) != len(frame.boxes):
        raise ValueError(f"{where}: {len(frame.boxes)} boxes, but {len(frame.scores)} scores")
    boxes = np.array(frame.boxes, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError(f"{where}: a box has an infinite or NaN coordinate")
    return Detections(boxes, _dense(frame.scores, where, classes))


def _dense(rows: list[dict[str, float]], where: str, classes: int) -> Array:
    scores = np.zeros((len(rows), classes))
    for row, sparse in zip(scores, rows, strict=True):
        for key, score in sparse.items():
            label = int(key) if key.isascii() and key.isdigit() else -1
            if not 0 <= label < classes:
                raise ValueError(
                    f"{where}: class '{key}' among the scores, expected 0 to {classes - 1}"
                )
            if not 0 <= score <= 1:
                raise ValueError(f"{where}: score {score} of class {key}, expected 0 to 1")
            row[label] = score
    return scores


def _wrong(path: Path, where: str, what: str) -> AnnotationError:
    place = f"{path}, {where}" if where else str(path)
    return AnnotationError(
        f"The detections in {place} are wrong: {what}.",
        hint="Write them again with: edgekit run --save-detections, or edgekit eval "
        "--save-detections.",
    )
