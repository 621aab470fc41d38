"""What tracks looked like in the past: one table for all, a row for each track and frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["History", "Rows"]

_SMALLEST = 256


class Rows(NamedTuple):
    """Some rows of a history, in order of time.

    Attributes:
        id: (n,) which track.
        frame: (n,) when.
        seen: (n,) bool, whether a detection stands behind the row.
        states: (n, 5, 4) as ``edgekit.runtime._kalman.States`` has them.
        scores: (n, C) of the detection; 0 without one.
    """

    id: Array
    frame: Array
    seen: Array
    states: Array
    scores: Array


class History:
    """Appended to in every frame; forgets tracks that are gone and frames that are too old.

    A frame costs a few numpy calls however many tracks there are, and the rows of a track that
    ends are found by its id. The table is tidied when it is full and grows if that freed too
    little, so a row costs the same in the long run and memory follows the tracks that are alive.

    Args:
        classes: Number of classes.
        frames: How many of the newest frames are remembered; None for all.
    """

    def __init__(self, classes: int, frames: int | None = None) -> None:
        self._frames = frames
        self._count = 0
        self._table = _empty(_SMALLEST, classes)

    def __len__(self) -> int:
        return self._count

    def append(self, ids: Array, frame: int, columns: Mapping[str, Array]) -> None:
        """Takes one row for each of the tracks ``ids`` (ascending), which are all that live."""
        new = len(ids)
        if self._count + new > len(self._table.id):
            self._tidy(ids, frame, new)
        rows = slice(self._count, self._count + new)
        self._table.id[rows] = ids
        self._table.frame[rows] = frame
        for name, column in columns.items():
            getattr(self._table, name)[rows] = column
        self._count += new

    def of(self, id: int) -> Rows:
        """All that is remembered of a track."""
        rows = np.flatnonzero(self._table.id[: self._count] == id)
        if self._frames is not None:
            rows = rows[-self._frames :]
        return Rows(*(column[rows] for column in self._table))

    def _tidy(self, alive: Array, frame: int, room: int) -> None:
        old = Rows(*(column[: self._count] for column in self._table))
        stay = np.isin(old.id, alive, assume_unique=False)
        if self._frames is not None:
            stay &= old.frame > frame - self._frames
        rows = np.flatnonzero(stay)
        capacity = max(_SMALLEST, 2 * (len(rows) + room))
        self._table = _empty(capacity, old.scores.shape[1])
        for column, before in zip(self._table, old, strict=True):
            column[: len(rows)] = before[rows]
        self._count = len(rows)


def _empty(rows: int, classes: int) -> Rows:
    return Rows(
        np.empty(rows, np.int64),
        np.empty(rows, np.int64),
        np.empty(rows, np.bool_),
        np.empty((rows, 5, 4)),
        np.empty((rows, classes), np.float32),
    )
