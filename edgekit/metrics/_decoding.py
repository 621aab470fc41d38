"""Decodes and checks one video of a file of saved detections, as ``detections`` describes it."""

from __future__ import annotations

import re
from itertools import chain
from math import inf

import msgspec
import numpy as np

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.files.json_arrays import array_pieces, boxes_in, counts_of, placed
from edgekit.linking.tracker import RATE
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.runtime.types import Array, Detections

__all__ = ["decode_video", "has_tubes", "too_many", "values_of"]

_BLOCK = 1 << 20
_MOST_FRAME = 1 << 22
"""Bytes after which a block of frames ends, and the largest size of a block with its last frame."""

_MOST_TRUTH = 1 << 25
"""Largest size of the ground truth of a video in bytes."""

_BETWEEN_FRAMES = re.compile(rb"(?:\]\s*\}|null)\s*,(?=\s*(?:\{\s*\"|null))")
"""Comma after a frame, which ends with its boxes or scores, or is null."""


_NO_TUBES = msgspec.Raw(b"[]")


class _Frame(msgspec.Struct, gc=False):
    boxes: list[tuple[float, float, float, float]]
    scores: list[dict[str, float]]


class _SavedTube(msgspec.Struct):
    label: int
    start: int
    end: int
    boxes_xywh_1based: msgspec.Raw


class _SavedVideo(msgspec.Struct):
    frames: int
    detections: msgspec.Raw
    gt: msgspec.Raw = _NO_TUBES
    width: int | None = None
    height: int | None = None
    fps: float = RATE


class _Truth(msgspec.Struct):
    gt: msgspec.Raw = _NO_TUBES


def too_many(classes: int, most: int) -> str:
    """Returns what is wrong with a video whose arrays need too much memory.

    Args:
        classes: Number of classes.
        most: Largest number of values.
    """
    return (
        f"it has more boxes, with {classes} classes each, than fit into {most >> 17} MiB beside "
        "the file"
    )


def values_of(found: FrameDetections) -> int:
    """Returns the number of values in the arrays of a video."""
    return int(found.boxes.size + found.scores.size + found.counts.size)


def has_tubes(content: msgspec.Raw) -> bool:
    """Returns whether a video has an annotated tube; its boxes are not read."""
    tubes = memoryview(msgspec.json.decode(content, type=_Truth).gt)
    return re.fullmatch(rb"\[\s*\]", tubes) is None


def decode_video(
    content: msgspec.Raw, name: str, size: tuple[int, int], classes: int, most: int
) -> tuple[VideoTruth, FrameDetections]:
    """Returns the ground truth and the detections of a video.

    Args:
        content: JSON of the video.
        name: Name of the video.
        size: Width and height in pixels, if the video does not have its own.
        classes: Number of classes.
        most: Largest number of values to make room for.

    Raises:
        ValueError: A value is wrong.
        msgspec.MsgspecError: The content has another layout.
    """
    video = msgspec.json.decode(content, type=_SavedVideo)
    # Each box has an object of scores, and each frame one more. Count them before decoding.
    boxes = counts_of(memoryview(video.detections), b"{")[b"{"] - video.frames
    if max(boxes, 0) * (classes + 4) + video.frames > most:
        raise ValueError(too_many(classes, most))
    detections = _decode_detections(video.detections, video.frames, classes, most)
    if len(detections) != video.frames:
        raise ValueError(f"detections for {len(detections)} of {video.frames} frames")
    if not 0 < video.fps < inf:
        raise ValueError(f"its 'fps' is {video.fps:g}, a finite number above 0 was expected")
    detections.fps = video.fps
    width, height = video.width or size[0], video.height or size[1]
    if min(width, height) < 1:
        raise ValueError(f"picture size {width}x{height}, expected at least 1x1 pixels")
    if len(memoryview(video.gt)) > _MOST_TRUTH:
        raise ValueError(f"its 'gt' has over {_MOST_TRUTH} bytes, the most that are read")
    tubes = [
        _truth_tube(tube, f"gt {number}", video.frames, classes)
        for number, tube in enumerate(msgspec.json.decode(video.gt, type=list[_SavedTube]))
    ]
    label = tubes[0].label if tubes else None
    truth = VideoTruth(name, video.frames, width, height, tubes, label)
    return truth, detections


def _truth_tube(tube: _SavedTube, where: str, frames: int, classes: int) -> TruthTube:
    if not 0 <= tube.label < classes:
        raise ValueError(f"{where}: label {tube.label}, expected 0 to {classes - 1}")
    if not 0 <= tube.start < tube.end <= frames:
        raise ValueError(
            f"{where}: the tube runs from frame {tube.start} to frame {tube.end}, but the "
            f"video has {frames} frames"
        )
    try:
        boxes = boxes_in(tube.boxes_xywh_1based, tube.end - tube.start)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if not np.isfinite(boxes).all() or boxes[:, 2:].min() <= 0:
        raise ValueError(f"{where}: a box [x, y, w, h] is empty or not finite")
    boxes[:, :2] -= 1.0
    boxes[:, 2:] += boxes[:, :2]
    return TruthTube(tube.label, tube.start, boxes)


def _decode_detections(
    content: msgspec.Raw, expected: int, classes: int, most: int
) -> FrameDetections:
    """Returns the detections of all frames, which are refused if they are more than expected.

    The frames are decoded in blocks, because Python's objects of a frame take up to 24 times the
    memory of its text.
    """
    blocks: list[FrameDetections] = []
    first = boxes = 0
    for text in array_pieces(memoryview(content), _BETWEEN_FRAMES, _BLOCK, _MOST_FRAME):
        try:
            frames = msgspec.json.decode(text, type=list[_Frame | None])
        except msgspec.ValidationError as error:
            raise ValueError(placed(str(error), "$.detections", first)) from error
        boxes += sum(len(frame.boxes) for frame in frames if frame is not None)
        if boxes * (classes + 4) + first + len(frames) > most:
            raise ValueError(too_many(classes, most))
        blocks.append(_all_detections(frames, classes, first))
        first += len(frames)
        if first > expected:
            raise ValueError(f"detections for more than {expected} frames")
    return blocks[0] if len(blocks) == 1 else _joined(blocks, first, boxes, classes)


def _joined(
    blocks: list[FrameDetections], frames: int, boxes: int, classes: int
) -> FrameDetections:
    """Returns the detections of all blocks. Empties the list, so that each is in memory once."""
    blocks.reverse()
    found = FrameDetections(
        np.empty((boxes, 4)), np.empty((boxes, classes)), np.empty(frames, np.intp)
    )
    frame = box = 0
    while blocks:
        block = blocks.pop()
        found.counts[frame : (frame := frame + len(block))] = block.counts
        rows = slice(box, box := box + len(block.boxes))
        found.boxes[rows], found.scores[rows] = block.boxes, block.scores
    return found


def _all_detections(frames: list[_Frame | None], classes: int, first: int) -> FrameDetections:
    """Returns the detections of a block of frames, from checks of all their numbers together."""
    some = [frame for frame in frames if frame is not None]
    boxes = np.array(list(chain.from_iterable(f.boxes for f in some)), np.float64).reshape(-1, 4)
    sparse = list(chain.from_iterable(frame.scores for frame in some))
    names = {str(label): label for label in range(classes)}
    labels = [names.get(key, -1) for row in sparse for key in row]
    values = np.array([score for row in sparse for score in row.values()], np.float64)
    if (
        any(len(frame.boxes) != len(frame.scores) for frame in some)
        or not np.isfinite(boxes).all()
        or -1 in labels
        or not ((values >= 0) & (values <= 1)).all()
    ):
        # Finds what is wrong, if anything: a class may also be written "07".
        found = [
            None if frame is None else _detections(frame, f"frame {number}", classes)
            for number, frame in enumerate(frames, first)
        ]
        return FrameDetections.of(found, classes)
    scores = np.zeros((len(boxes), classes))
    scores[np.repeat(np.arange(len(sparse)), [len(row) for row in sparse]), labels] = values
    counts = np.array([-1 if frame is None else len(frame.boxes) for frame in frames], np.intp)
    return FrameDetections(boxes, scores, counts)


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
