"""Counts the videos, tubes and boxes of a dataset, and describes its boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.tools.loading import whole

__all__ = ["ClassCounts", "Counts", "Spread", "Statistics", "statistics_of"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of videos, of videos whose files are there, of frames, annotated frames, tubes."""

    videos: int
    found: int
    frames: int
    annotated_frames: int
    tubes: int


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Numbers of videos with a class, of its tubes and of its boxes."""

    name: str
    videos: int
    tubes: int
    boxes: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The 5th, 50th and 95th percentiles of some values; None without values."""

    low: float | None
    median: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of a dataset, and distributions of its boxes.

    Attributes:
        parts: Counts of each part.
        classes: Counts of each class over all parts.
        height: Height of a box over the height of its picture.
        area: Area of a box over the area of its picture.
        aspect: Width of a box over its height.
        motion: Distance that the centre of a box moves from one frame to the next, divided by the
            square root of the area of the box.
        tube_frames: Frames of a tube.
        most_actors: Largest number of boxes in a frame.
    """

    parts: dict[str, Counts]
    classes: list[ClassCounts]
    height: Spread
    area: Spread
    aspect: Spread
    motion: Spread
    tube_frames: Spread
    most_actors: int

    def to_dict(self) -> dict[str, object]:
        """Returns all values for JSON."""
        return asdict(self)


def statistics_of(parts: Mapping[str, Truth]) -> Statistics:
    """Returns the statistics of a dataset.

    Args:
        parts: Ground truth of each part, by its name.
    """
    truth = whole(dict(parts))
    pairs = [(video, tube) for video in truth.videos for tube in video.tubes]
    sizes = [_sizes(video, tube) for video, tube in pairs]
    height, area, aspect = np.concatenate(sizes, 1) if sizes else np.empty((3, 0))
    motion = [_motion(tube) for _, tube in pairs]
    return Statistics(
        {name: _counts(part.videos) for name, part in parts.items()},
        _class_counts(truth),
        _spread(height),
        _spread(area),
        _spread(aspect),
        _spread(np.concatenate(motion) if motion else np.empty(0)),
        _spread(np.array([len(tube.boxes) for _, tube in pairs])),
        max((int(_actors(video).max(initial=0)) for video in truth.videos), default=0),
    )


def _counts(videos: Sequence[VideoTruth]) -> Counts:
    return Counts(
        len(videos),
        sum(video.path is not None and video.path.exists() for video in videos),
        sum(video.frames for video in videos),
        sum(int((_actors(video) > 0).sum()) for video in videos),
        sum(len(video.tubes) for video in videos),
    )


def _class_counts(truth: Truth) -> list[ClassCounts]:
    videos, tubes, boxes = Counter[int](), Counter[int](), Counter[int]()
    for video in truth.videos:
        videos.update({tube.label for tube in video.tubes})
        for tube in video.tubes:
            tubes[tube.label] += 1
            boxes[tube.label] += len(tube.boxes)
    return [
        ClassCounts(name, videos[label], tubes[label], boxes[label])
        for label, name in enumerate(truth.classes)
    ]


def _actors(video: VideoTruth) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Returns the number of boxes in each frame, up to the last one with boxes."""
    steps = np.zeros(max((tube.end for tube in video.tubes), default=-1) + 2, np.int64)
    for tube in video.tubes:
        steps[tube.start] += 1
        steps[tube.end + 1] -= 1
    return np.cumsum(steps[:-1])


def _sizes(video: VideoTruth, tube: TruthTube) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Returns height, area and aspect of each box, (3, n)."""
    width, height = (tube.boxes[:, 2:] - tube.boxes[:, :2]).T
    shares = height / video.height, width * height / (video.width * video.height)
    return np.stack([*shares, width / np.maximum(height, 1e-9)])


def _motion(tube: TruthTube) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    centres = (tube.boxes[:, :2] + tube.boxes[:, 2:]) / 2
    sides = np.sqrt(np.maximum(np.prod(tube.boxes[:, 2:] - tube.boxes[:, :2], 1), 1e-9))
    found: np.ndarray[tuple[int], np.dtype[np.float64]]
    found = np.linalg.norm(np.diff(centres, axis=0), axis=1) / sides[1:]
    return found


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Spread:
    if not len(values):
        return Spread(None, None, None)
    low, median, high = (float(value) for value in np.percentile(values, (5, 50, 95)))
    return Spread(low, median, high)
