"""The detections of all frames of a video in joint arrays, which vectorized code works on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from edgekit.linking.tracker import RATE
from edgekit.runtime.types import Array, Detections

__all__ = ["FrameDetections"]


class FrameDetections(Sequence["Detections | None"]):
    """The detections of a video, one item a frame; None for a frame that was not processed.

    Args:
        boxes: Boxes of all frames, frame by frame, (n, 4).
        scores: Scores of all boxes, (n, C).
        counts: Number of boxes of each frame, (F,) int; -1 for a frame that was not processed.
        fps: Frames per second of the video, by which its tubes are linked.

    Attributes:
        boxes: Boxes of all frames, frame by frame, (n, 4).
        scores: Scores of all boxes, (n, C).
        counts: Number of boxes of each frame, (F,) int; -1 for a frame that was not processed.
        fps: Frames per second of the video.
    """

    def __init__(self, boxes: Array, scores: Array, counts: Array, fps: float = RATE) -> None:
        self.boxes, self.scores, self.counts, self.fps = boxes, scores, counts, fps

    @classmethod
    def of(
        cls, frames: Sequence[Detections | None], classes: int, fps: float = RATE
    ) -> FrameDetections:
        """Returns the detections of these frames, with arrays of the frames' common type."""
        if isinstance(frames, cls):
            return frames
        counts = np.array([-1 if found is None else len(found) for found in frames], np.intp)
        some = [found for found in frames if found is not None and len(found)]
        if not some:
            return cls(np.zeros((0, 4)), np.zeros((0, classes)), counts, fps)
        return cls(
            np.concatenate([found.boxes for found in some]),
            np.concatenate([found.scores for found in some]),
            counts,
            fps,
        )

    @property
    def frame(self) -> Array:
        """Index of the frame of each box, (n,)."""
        return np.repeat(np.arange(len(self.counts)), np.maximum(self.counts, 0))

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, key: int) -> Detections | None: ...

    @overload
    def __getitem__(self, key: slice) -> list[Detections | None]: ...

    def __getitem__(self, key: int | slice) -> Detections | list[Detections | None] | None:
        if isinstance(key, slice):
            return list(self)[key]
        key = range(len(self))[key]
        count = self.counts[key]
        if count < 0:
            return None
        first = int(np.maximum(self.counts[:key], 0).sum())
        return Detections(self.boxes[first : first + count], self.scores[first : first + count])

    def __iter__(self) -> Iterator[Detections | None]:
        counts = self.counts.tolist()
        ends = itertools.accumulate(max(count, 0) for count in counts)
        for count, end in zip(counts, ends, strict=True):
            if count < 0:
                yield None
            else:
                rows = slice(end - count, end)
                yield Detections(self.boxes[rows], self.scores[rows])
