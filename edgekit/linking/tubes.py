"""The live tubes of one frame, as a sequence that can be filtered and converted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

from edgekit._checks import as_number, is_whole, unexpected
from edgekit._printable import described
from edgekit.errors import UsageError
from edgekit.linking.published import LiveTube
from edgekit.runtime.rows import (
    Array,
    Classes,
    Rows,
    checked_names,
    class_indices,
    row_of,
    rows_of,
)
from edgekit.runtime.types import Tube

if TYPE_CHECKING:
    from edgekit.runtime._supervision import SupervisionDetections

__all__ = ["Tubes"]

T = TypeVar("T", LiveTube, Tube)

_COUNTS = {"age": 0, "start": 0, "hits": 1}
"""Fields of a live tube that other libraries do not have, with the value of a new tube."""


class Tubes(Sequence[LiveTube]):
    """The tubes that are alive in one frame, and those that ended with it.

    ``tubes[0]`` is a ``LiveTube``, as is each item of an iteration. A slice, a mask or row numbers
    give ``Tubes`` again: ``tubes[tubes.observed]``.

    Args:
        live: Tubes that are alive in the frame.
        classes: Class names, by class index; empty if they are not known.
        closed: Tubes that ended since the previous frame.

    Attributes:
        classes: Class names, by class index; empty if they are not known.
        closed: Tubes that ended since the previous frame, each with all its boxes.

    Raises:
        UsageError: An argument has another type, or a tube a class without a name.
    """

    __slots__ = ("_live", "classes", "closed")

    def __init__(
        self,
        live: Iterable[LiveTube] = (),
        classes: Sequence[str] = (),
        closed: Iterable[Tube] = (),
    ) -> None:
        self._live = _checked(live, LiveTube)
        self.closed: Sequence[Tube] = _checked(closed, Tube)
        self.classes = checked_names(classes)
        for tube in self._live if self.classes else ():
            if not (is_whole(tube.label) and 0 <= tube.label < len(self.classes)):
                raise UsageError(
                    f"Expected class indices from 0 to {len(self.classes) - 1}; found "
                    f"{described(tube.label)}."
                )

    def __len__(self) -> int:
        return len(self._live)

    @overload
    def __getitem__(self, key: int) -> LiveTube: ...

    @overload
    def __getitem__(self, key: Rows) -> Tubes: ...

    def __getitem__(self, key: int | Rows) -> LiveTube | Tubes:
        row = row_of(key, len(self))
        if row is not None:
            return self._live[row]
        rows = np.arange(len(self))[rows_of(key, len(self))]
        return Tubes([self._live[place] for place in rows.tolist()], self.classes)

    def __iter__(self) -> Iterator[LiveTube]:
        return iter(self._live)

    def __repr__(self) -> str:
        return f"Tubes({self._live!r}, closed={len(self.closed)})"

    @property
    def ids(self) -> Array:
        """Ids of the tubes, (n,) int."""
        return np.array([tube.id for tube in self], np.int64)

    @property
    def boxes(self) -> Array:
        """Boxes in source pixels, (n, 4) float."""
        return np.array([tube.box for tube in self], np.float64).reshape(-1, 4)

    @property
    def labels(self) -> Array:
        """Class indices, (n,) int."""
        return np.array([tube.label for tube in self], np.int64)

    @property
    def scores(self) -> Array:
        """Scores, (n,) float."""
        return np.array([tube.score for tube in self], np.float64)

    @property
    def observed(self) -> Array:
        """Whether each box is a detection of this frame, (n,) bool."""
        return np.array([tube.observed for tube in self], np.bool_)

    @property
    def names(self) -> list[str]:
        """Class name of each tube; empty text where it is not known."""
        return [self.classes[tube.label] if self.classes else "" for tube in self]

    def filter(self, classes: Classes | None = None, score: float | None = None) -> Tubes:
        """Returns the live and the closed tubes of some classes, and with some score.

        Args:
            classes: Classes that remain, by name or index; None for all.
            score: Smallest score that remains; None for all.

        Raises:
            UsageError: There is no such class, or ``score`` is not a number.
        """
        least = -np.inf if score is None else as_number("score", score)
        kept = None
        if classes is not None:
            count = len(self.classes) or np.iinfo(np.int64).max
            kept = set(class_indices(classes, self.classes, count))

        def remains(tube: LiveTube | Tube) -> bool:
            return tube.score >= least and (kept is None or tube.label in kept)

        return Tubes(filter(remains, self), self.classes, filter(remains, self.closed))

    def to_supervision(self) -> SupervisionDetections:
        """Returns ``supervision.Detections`` with the live tubes; their ids are ``tracker_id``.

        Raises:
            MissingDependencyError: The package supervision is not installed.
        """
        from edgekit.runtime._supervision import made

        more = {
            name: np.array([getattr(tube, name) for tube in self], np.int64) for name in _COUNTS
        }
        return made(self.boxes, self.scores, self.labels, self.classes, self.ids, **more)

    @classmethod
    def from_supervision(cls, found: SupervisionDetections, classes: Sequence[str]) -> Tubes:
        """Returns the tubes of a ``supervision.Detections`` that a tracker has given ids.

        Args:
            found: Object with ``xyxy``, ``confidence``, ``class_id`` and ``tracker_id``. The
                columns ``age``, ``start`` and ``hits`` of its ``data`` are used where they exist;
                a tube without them is observed, begins at frame 0 and has one detection.
            classes: Class names, by class index.

        Raises:
            UsageError: A column is missing or does not fit.
        """
        from edgekit.runtime._supervision import column, columns

        names = checked_names(classes)
        boxes, scores, labels = columns(found, len(names))
        count = len(boxes)
        ids = column(found, "tracker_id", count) if count else labels
        data = getattr(found, "data", None)
        more = (_counts(data, name, usual, count) for name, usual in _COUNTS.items())
        own = (values.tolist() for values in (ids, labels, scores, boxes))
        return cls(itertools.starmap(LiveTube, zip(*own, *more, strict=True)), names)


def _checked(tubes: Iterable[T], kind: type[T]) -> list[T]:
    found = list(tubes) if isinstance(tubes, Iterable) else [tubes]
    for tube in found:
        if not isinstance(tube, kind):
            raise UsageError(f"Expected {kind.__name__} objects; found {described(tube)}.")
    return found


def _counts(data: object, name: str, usual: int, count: int) -> list[int]:
    values = data.get(name) if isinstance(data, Mapping) else None
    if values is None:
        return [usual] * count
    numbers = np.asarray(values)
    if numbers.shape != (count,) or numbers.dtype.kind not in "iu":
        raise unexpected(name, f"{count} whole numbers", values)
    return [int(number) for number in numbers]
