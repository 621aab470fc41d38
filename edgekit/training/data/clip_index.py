"""Holds the annotations of all clips of a run in a few arrays, without any pictures.

Worker processes get a copy of the index. Arrays of 400,000 frames take some megabytes and are
copied in one piece; a list with an object for each frame would take a hundred times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.datasets.annotations import VideoTruth
from edgekit.runtime.types import Array

__all__ = ["ClipIndex", "index_clips"]


@dataclass(frozen=True, slots=True, eq=False)
class ClipIndex:
    """Annotations of n clips with f frames and b boxes in all.

    Attributes:
        datasets: Index of the dataset that each clip is from, (n,).
        labels: Each class of each clip, as index of the clip and index of the class, (m, 2); the
            class is -1 for a clip without any.
        start: Number of the first frame of each clip among all frames, and f, (n + 1,).
        box_start: Number of the first box of each frame among all boxes, and b, (f + 1,).
        boxes: Boxes in pixels of their video, (b, 4) float64.
        box_labels: Class index of each box, (b,).
    """

    datasets: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    box_start: npt.NDArray[np.int64]
    boxes: Array
    box_labels: npt.NDArray[np.int32]

    def boxes_of(self, clip: int, frame: int) -> tuple[Array, npt.NDArray[np.int32]]:
        """Returns the boxes (k, 4) of a frame, and the class index of each (k,)."""
        number = int(self.start[clip]) + frame
        span = slice(int(self.box_start[number]), int(self.box_start[number + 1]))
        return self.boxes[span], self.box_labels[span]


def index_clips(videos: Sequence[tuple[int, VideoTruth]], share: float = 1.0) -> ClipIndex:
    """Returns the index of the first frames of each video.

    Args:
        videos: Videos, each with the index of its dataset.
        share: Share of each video to take, in (0, 1]; at least one frame is taken.
    """
    counts = [max(1, round(share * video.frames)) for _, video in videos]
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    frames, boxes, labels = [], [], []
    pairs: list[tuple[int, int]] = []
    for clip, ((_, video), first, count) in enumerate(zip(videos, start, counts, strict=False)):
        own = [] if video.label is None else [video.label]
        found = {*own, *(tube.label for tube in video.tubes if tube.start < count)}
        pairs += [(clip, label) for label in sorted(found) or [-1]]
        for tube in video.tubes:
            kept = np.asarray(tube.boxes, np.float64)[: max(0, count - tube.start)]
            frames.append(first + tube.start + np.arange(len(kept), dtype=np.int64))
            boxes.append(kept.reshape(-1, 4))
            labels.append(np.full(len(kept), tube.label, np.int32))
    numbers = np.concatenate([np.zeros(0, np.int64), *frames])
    order = np.argsort(numbers, kind="stable")  # several boxes of a frame keep their order
    per_frame = np.bincount(numbers, minlength=int(start[-1]))
    return ClipIndex(
        np.array([dataset for dataset, _ in videos], np.int32),
        np.array(pairs, np.int32).reshape(-1, 2),
        start,
        np.concatenate([[0], np.cumsum(per_frame)]).astype(np.int64),
        np.concatenate([np.zeros((0, 4)), *boxes])[order],
        np.concatenate([np.zeros(0, np.int32), *labels])[order],
    )
