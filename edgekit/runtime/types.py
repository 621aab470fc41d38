"""What travels through the pipeline: frames, detections and tubes.

Boxes everywhere are ``[x1, y1, x2, y2]`` in pixels of the source picture, x to the right, y
down, 0-based and continuous. Frame indices start at 0; the ``end`` of a tube is inclusive.
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
        index: Position in the source, from 0. Frames that were dropped keep their numbers.
        time: Seconds since the start of the source.
        image: (H, W, 3) uint8, BGR.
        gap: Why the frame before this one (index - 1) was not delivered or does not belong to
            it: one of ``dropped``, ``reconnect``, ``resize``, ``seek``; empty when it was.
        sample_aspect: Width of a pixel over its height.
        earlier: The picture that the cascade compares ``image`` with, of the same shape. None for
            a first frame; where nobody chose one, the cascade takes the picture before.
        taken: When the picture was taken, in seconds of ``time.monotonic``; None where the source
            does not know, such as a file.
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
    """The actions found in one frame: a box each, with a score for every class.

    Attributes:
        boxes: (n, 4) float, source pixels.
        scores: (n, C) float in [0, 1]; 0 where the class was not found at that box.
    """

    boxes: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls, classes: int) -> Detections:
        """No detection at all, for ``classes`` classes."""
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, classes), np.float32))

    def flat(self, threshold: float = 0.0) -> tuple[Array, Array, Array]:
        """One row per box and class that scores above ``threshold``, best first.

        Returns:
            boxes (m, 4), classes (m,) int, scores (m,); equal scores keep the order of boxes,
            then of classes.
        """
        rows, classes = np.nonzero(self.scores > threshold)
        scores = self.scores[rows, classes]
        order = np.argsort(-scores, kind="stable")
        return self.boxes[rows[order]], classes[order], scores[order]


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """One action in space and time: a box for every frame from ``start`` to ``end``.

    Attributes:
        id: Unique within one linker, in order of birth.
        label: Class index.
        score: Confidence of the tube as a whole.
        start: First frame.
        end: Last frame, inclusive.
        boxes: (end - start + 1, 4) float.
        scores: (end - start + 1,) float, the class score of each frame.
        observed: (end - start + 1,) bool; False where the box was filled, held or extrapolated.
        age: Frames since the last detection; 0 when the last box is one.
        track: Id of the live tube that it was, where that became several tubes; None where that
            is ``id``.
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
