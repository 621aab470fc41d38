"""Defines the data in the pipeline: frames, detections and tubes.

All boxes are ``[x1, y1, x2, y2]`` in pixels of the source picture, x to the right, y down, 0-based
and continuous. Frame indices start at 0; the ``end`` of a tube is inclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Detections", "Frame", "Tube"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        index: Position in the source, from 0. Dropped frames keep their numbers.
        time: Seconds since the start of the source.
        image: Picture, (H, W, 3) uint8, BGR.
        gap: Reason why the previous frame (index - 1) was not delivered or does not belong to this
            one: ``dropped``, ``reconnect``, ``resize`` or ``seek``; otherwise empty.
        sample_aspect: Width of a pixel over its height.
        earlier: Picture of the same shape that the cascade compares ``image`` with. None for a
            first frame; if nobody chose one, the cascade uses the previous picture.
        taken: Time of capture, in seconds of ``time.monotonic``; None if the source does not know
            it, as for a file.
    """

    index: int
    time: float
    image: npt.NDArray[np.uint8]
    gap: str = ""
    sample_aspect: float = 1.0
    earlier: npt.NDArray[np.uint8] | None = None
    taken: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The actions found in one frame: one box each, with a score for every class.

    Attributes:
        boxes: Boxes in source pixels, (n, 4) float.
        scores: Scores in [0, 1], (n, C) float; 0 if the class was not found at that box.
    """

    boxes: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls, classes: int) -> Detections:
        """Returns an empty set of detections for ``classes`` classes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, classes), np.float32))

    def flat(self, threshold: float = 0.0) -> tuple[Array, Array, Array]:
        """Returns one row per box and class that scores above ``threshold``, best first.

        Returns:
            boxes (m, 4), classes (m,) int, scores (m,); equal scores keep the order of boxes, then
            of classes.
        """
        rows, classes = np.nonzero(self.scores > threshold)
        scores = self.scores[rows, classes]
        order = np.argsort(-scores, kind="stable")
        return self.boxes[rows[order]], classes[order], scores[order]


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """One action in space and time: a box for every frame from ``start`` to ``end``.

    Attributes:
        id: Id that is unique within one linker, in order of birth.
        label: Class index.
        score: Confidence of the tube as a whole.
        start: First frame.
        end: Last frame, inclusive.
        boxes: Box of each frame, (end - start + 1, 4) float.
        scores: Class score of each frame, (end - start + 1,) float.
        observed: Whether each box is a detection, (end - start + 1,) bool; False if it was filled,
            held or extrapolated.
        age: Number of frames since the last detection; 0 if the last box is a detection.
        track: Id of the live tube that it came from, if that became several tubes; None if that is
            ``id``.
    """

    id: int
    label: int
    score: float
    start: int
    end: int
    boxes: Array
    scores: Array
    observed: npt.NDArray[np.bool_]
    age: int = 0
    track: int | None = None
