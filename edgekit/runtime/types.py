"""Defines the data in the pipeline: frames, detections and tubes.

All boxes are ``[x1, y1, x2, y2]`` in pixels of the source picture, x to the right, y down, 0-based
and continuous. Frame indices start at 0; the ``end`` of a tube is inclusive.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from edgekit._checks import (
    as_instance,
    as_number,
    as_picture,
    as_whole,
    check_range,
    unexpected,
    unless_none,
)
from edgekit._printable import described
from edgekit.errors import UsageError
from edgekit.runtime.rows import (
    Array,
    Classes,
    Rows,
    checked_names,
    class_indices,
    row_of,
    rows_of,
)

if TYPE_CHECKING:
    from edgekit.runtime._supervision import SupervisionDetections

__all__ = ["Array", "Detection", "Detections", "Frame", "Tube"]

_NUMBERS = "fiu"
"""Kinds of numpy's types for boxes and scores: floats and integers."""

_NO_PICTURE = np.empty((0, 0, 3), np.uint8)


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
            first frame. If it is not set, the cascade uses the previous picture.
        taken: Time of capture, in seconds of ``time.monotonic``; None if the source does not know
            it, as for a file.

    Raises:
        UsageError: A value has a wrong type, shape or range.
    """

    index: int
    time: float
    image: npt.NDArray[np.uint8]
    gap: str = ""
    sample_aspect: float = 1.0
    earlier: npt.NDArray[np.uint8] | None = None
    taken: float | None = None

    def __post_init__(self) -> None:
        # Python's own numbers, because results are written as JSON.
        object.__setattr__(self, "index", as_whole("frame.index", self.index, least=0))
        time: object = self.time
        if not isinstance(time, numbers.Real):  # NaN occurs: see source_clock
            raise unexpected("frame.time", "a number", time)
        object.__setattr__(self, "time", float(time))
        if getattr(self.image, "shape", None) != _NO_PICTURE.shape:
            as_picture("frame.image", self.image)
        as_instance("frame.gap", self.gap, str, "a reason as text")
        aspect = as_number("frame.sample_aspect", self.sample_aspect)
        check_range("frame.sample_aspect", aspect, 0, above=True)
        unless_none(as_picture, "frame.earlier", self.earlier)
        unless_none(as_number, "frame.taken", self.taken)

    def without_pictures(self) -> Frame:
        """Returns the frame without its pictures, which need memory; its image is empty."""
        return replace(self, image=_NO_PICTURE, earlier=None)


class Detection(NamedTuple):
    """One box of ``Detections``, with its best class.

    Attributes:
        box: Box ``[x1, y1, x2, y2]`` in source pixels.
        label: Index of the class with the highest score.
        score: Score of that class, in [0, 1].
        name: Name of that class; empty if the detections have no class names.
    """

    box: list[float]
    label: int
    score: float
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The actions found in one frame: one box each, with a score for every class.

    ``detections[3]`` is a ``Detection``, as is each item of an iteration. A slice, a mask or row
    numbers give ``Detections`` again: ``detections[detections.scores.max(axis=1) > 0.5]``.

    Attributes:
        boxes: Boxes in source pixels, (n, 4) float.
        scores: Scores in [0, 1], (n, C) float; 0 if the class was not found at that box.
        classes: Class names, by class index; empty if they are not known.

    Raises:
        UsageError: An array has another shape.
    """

    boxes: Array
    scores: Array
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        boxes, scores = self.boxes, self.scores
        try:
            numbers = boxes.dtype.kind in _NUMBERS and scores.dtype.kind in _NUMBERS
            count, width = boxes.shape
            rows, classes = scores.shape
            named = len(self.classes)
        except (AttributeError, TypeError, ValueError):
            raise self._misshapen() from None
        fits = width == 4 and rows == count and (classes or not count)
        if not (numbers and fits) or (named and named != classes):
            raise self._misshapen()

    def _misshapen(self) -> UsageError:
        boxes, scores = described(self.boxes), described(self.scores)
        names = (
            f" and {len(self.classes)} class names"
            if isinstance(self.classes, (tuple, list)) and self.classes
            else ""
        )
        return UsageError(
            "Expected boxes as a float array (n, 4), scores as a float array (n, C) and C class "
            f"names, or none. Found boxes as {boxes} and scores as {scores}{names}."
        )

    def __len__(self) -> int:
        return len(self.boxes)

    @overload
    def __getitem__(self, key: int) -> Detection: ...

    @overload
    def __getitem__(self, key: Rows) -> Detections: ...

    def __getitem__(self, key: int | Rows) -> Detection | Detections:
        row = row_of(key, len(self))
        if row is None:
            rows = rows_of(key, len(self))
            return Detections(self.boxes[rows], self.scores[rows], self.classes)
        label = int(self.scores[row].argmax())
        name = self.classes[label] if self.classes else ""
        return Detection(self.boxes[row].tolist(), label, float(self.scores[row, label]), name)

    def __iter__(self) -> Iterator[Detection]:
        return map(self.__getitem__, range(len(self)))

    @classmethod
    def empty(cls, classes: int) -> Detections:
        """Returns an empty set of detections for ``classes`` classes.

        Raises:
            UsageError: ``classes`` is no number of classes.
        """
        count = as_whole("classes", classes, least=0, most=1 << 16)
        return cls(np.zeros((0, 4), np.float32), np.zeros((0, count), np.float32))

    def named(self, classes: Sequence[str]) -> Detections:
        """Returns the same detections with class names.

        Raises:
            UsageError: The number of names is not the number of classes.
        """
        return Detections(self.boxes, self.scores, checked_names(classes))

    def filter(self, classes: Classes | None = None, score: float | None = None) -> Detections:
        """Returns the boxes in which a class remains, with score 0 for all other classes.

        Args:
            classes: Classes that remain, by name or index; None for all.
            score: Smallest score that remains; None for all scores above 0.

        Raises:
            UsageError: There is no such class, or ``score`` is not a number.
        """
        kept = self.scores > 0
        if score is not None:
            kept &= self.scores >= as_number("score", score)
        if classes is not None:
            others = np.ones(self.scores.shape[1], np.bool_)
            others[class_indices(classes, self.classes, len(others))] = False
            kept[:, others] = False
        rows = kept.any(axis=1)
        scores = np.where(kept[rows], self.scores[rows], 0).astype(self.scores.dtype, copy=False)
        return Detections(self.boxes[rows], scores, self.classes)

    def flat(self, threshold: float = 0.0) -> tuple[Array, Array, Array]:
        """Returns one row per box and class that scores above ``threshold``, best first.

        Returns:
            boxes (m, 4), classes (m,) int, scores (m,); equal scores keep the order of boxes, then
            of classes.

        Raises:
            UsageError: ``threshold`` is not a number.
        """
        rows, classes = np.nonzero(self.scores > as_number("threshold", threshold))
        scores = self.scores[rows, classes]
        order = np.argsort(-scores, kind="stable")
        return self.boxes[rows[order]], classes[order], scores[order]

    def to_supervision(self) -> SupervisionDetections:
        """Returns ``supervision.Detections``: the rows of ``flat``, with their class names.

        Raises:
            MissingDependencyError: The package supervision is not installed.
        """
        from edgekit.runtime._supervision import made

        boxes, labels, scores = self.flat()
        return made(boxes, scores, labels, self.classes)

    @classmethod
    def from_supervision(cls, found: SupervisionDetections, classes: Sequence[str]) -> Detections:
        """Returns the detections of a ``supervision.Detections``.

        Rows with equal boxes become one box with a score for each of their classes.

        Args:
            found: Object with ``xyxy``, ``confidence`` and ``class_id``.
            classes: Class names, by class index.

        Raises:
            UsageError: Boxes, scores or class indices are missing or do not fit.
        """
        from edgekit.runtime._supervision import columns

        names = checked_names(classes)
        boxes, scores, labels = columns(found, len(names))
        places: dict[bytes, int] = {}
        rows = [places.setdefault(box.tobytes(), len(places)) for box in boxes]
        first = [rows.index(place) for place in range(len(places))]
        merged = np.zeros((len(places), len(names)), np.float32)
        np.maximum.at(merged, (np.array(rows, np.intp), labels), scores)
        return cls(boxes[first], merged, names)


# Many attributes: a record of one tube, whose fields are public API.
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
        name: Name of the class; empty if the linker does not know it.
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
    name: str = ""
