"""What tracks looked like in the past: one table for all, a row for each track and frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["History", "Rows"]

_SMALLEST = 256


class Rows(NamedTuple):
    """Some rows of a history, in order of time.

    Attributes:
        id: (n,) which track.
        frame: (n,) in which frame of the source.
        passed: (n,) frames of the source since the look before.
        elapsed: (n,) time since the look before, in frames of 25 a second.
        seen: (n,) bool, whether a detection stands behind the row.
        states: (n, k, 4), the first k fields of ``edgekit.runtime._kalman.States``.
        scores: (n, C) of the detection; 0 without one.
    """

    id: Array
    frame: Array
    passed: Array
    elapsed: Array
    seen: Array
    states: Array
    scores: Array


class History:
    """Appended to in every frame; forgets tracks that are gone and frames that are too old.

    A frame costs a few numpy calls however many tracks there are, and the rows of a track that
    ends are found by its id. The table is tidied when it is full and grows if that freed too
    little, so a row costs the same in the long run and memory follows the tracks that are alive.

    Attributes:
        table: The rows, and behind them those that are still free.

    Args:
        classes: Number of classes.
        frames: How many of the newest frames are remembered; None for all.
        fields: How many fields of the states.
    """

    def __init__(self, classes: int, frames: int | None = None, fields: int = 5) -> None:
        self._frames = frames
        self._count = 0
        self.table = _empty(_SMALLEST, fields, classes)

    def __len__(self) -> int:
        return self._count

    def reserve(self, rows: int, alive: Array, frame: int) -> bool:
        """Makes room for so many rows more.

        Args:
            rows: How many.
            alive: Ids of the tracks that are alive, or end in this frame.
            frame: The one whose rows come next.

        Returns:
            Whether the table has moved.
        """
        full = self._count + rows > len(self.table.id)
        if full:
            self._tidy(alive, frame, rows)
        return full

    def append(
        self,
        ids: Array,
        look: tuple[int, int, float],
        seen: Array,
        states: Array,
        scores: Array,
    ) -> None:
        """Takes one row for each of the tracks ``ids``; ``reserve`` has made room for them.

        Args:
            ids: (n,).
            look: The row's ``frame``, ``passed`` and ``elapsed``, the same for all.
            seen: (n,) bool.
            states: (n, k or more, 4).
            scores: (n, C).
        """
        rows = slice(self._count, self._count + len(ids))
        states = states[:, : self.table.states.shape[1]]
        for column, new in zip(self.table, (ids, *look, seen, states, scores), strict=True):
            column[rows] = new
        self._count += len(ids)

    def count(self, rows: int) -> None:
        """Takes so many rows that stand in ``table`` already, behind the others."""
        self._count += rows

    def of(self, id: int) -> Rows:
        """All that is remembered of a track."""
        rows = np.flatnonzero(self.table.id[: self._count] == id)
        if self._frames is not None:
            rows = rows[-self._frames :]
        return Rows(*(column[rows] for column in self.table))

    def _tidy(self, alive: Array, frame: int, room: int) -> None:
        old = Rows(*(column[: self._count] for column in self.table))
        stay = np.isin(old.id, alive, assume_unique=False)
        if self._frames is not None:
            stay &= old.frame >= frame - self._frames
        rows = np.flatnonzero(stay)
        capacity = max(_SMALLEST, 2 * (len(rows) + room))
        self.table = _empty(capacity, old.states.shape[1], old.scores.shape[1])
        for column, before in zip(self.table, old, strict=True):
            column[: len(rows)] = before[rows]
        self._count = len(rows)


def _empty(rows: int, fields: int, classes: int) -> Rows:
    return Rows(
        np.empty(rows, np.int64),
        np.empty(rows, np.int64),
        np.empty(rows, np.int64),
        np.empty(rows),
        np.empty(rows, np.bool_),
        np.empty((rows, fields, 4)),
        np.empty((rows, classes), np.float32),
    )
