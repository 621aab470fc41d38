"""Keeps the past of all tracks in one table, with a row for each track and frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["History", "Rows"]

_SMALLEST = 256


class Rows(NamedTuple):
    """Some rows of a history, in order of time.

    Attributes:
        id: Id of the track, (n,).
        frame: Index of the frame in the source, (n,).
        passed: Number of source frames since the previous processed frame, (n,).
        elapsed: Time since the previous processed frame, (n,), in frames at 25 per second.
        seen: Whether the row has a detection, (n,) bool.
        states: First k fields of ``edgekit.linking.tracks.kalman.States``, (n, k, 4).
        boxes: Box of the detection, (n, 4); 0 without one.
        scores: Scores of the detection, (n, C); 0 without one.
    """

    id: Array
    frame: Array
    passed: Array
    elapsed: Array
    seen: Array
    states: Array
    boxes: Array
    scores: Array


class History:
    """A table that grows with every frame, and forgets ended tracks and old frames.

    Each frame costs a few numpy calls for any number of tracks. The rows of a track that ends are
    found by its id. When the table is full it is compacted, and grows if that freed too little. The
    average cost of a row is therefore constant, and memory follows the number of live tracks.

    Attributes:
        table: Rows in use, followed by free rows.

    Args:
        classes: Number of classes.
        frames: Number of frames to remember up to the last detection of a track, and the time to
            remember in frames at 25 per second; None for all.
        fields: Number of state fields to store.
    """

    def __init__(self, classes: int, frames: int | None = None, fields: int = 5) -> None:
        self._frames = frames
        self._count = 0
        self.table = _empty(_SMALLEST, fields, classes)

    def __len__(self) -> int:
        return self._count

    def reserve(self, rows: int, alive: Array) -> bool:
        """Makes room for more rows.

        Args:
            rows: Number of rows to add.
            alive: Ids of the tracks that are alive, or end in this frame.

        Returns:
            Whether the table was moved in memory.
        """
        full = self._count + rows > len(self.table.id)
        if full:
            self._tidy(alive, rows)
        return full

    def append(
        self,
        ids: Array,
        look: tuple[int, int, float],
        seen: Array,
        states: Array,
        boxes: Array,
        scores: Array,
    ) -> None:
        """Appends one row for each of the tracks ``ids``; ``reserve`` has made room for them.

        Args:
            ids: Ids of the tracks, (n,).
            look: Values of ``frame``, ``passed`` and ``elapsed`` that all rows share.
            seen: Whether each row has a detection, (n,) bool.
            states: State of each track, (n, k or more, 4).
            boxes: Box of each detection, (n, 4); 0 without one.
            scores: Scores of each detection, (n, C); 0 without one.
        """
        rows = slice(self._count, self._count + len(ids))
        states = states[:, : self.table.states.shape[1]]
        new_rows = (ids, *look, seen, states, boxes, scores)
        for column, new in zip(self.table, new_rows, strict=True):
            column[rows] = new
        self._count += len(ids)

    def count(self, rows: int) -> None:
        """Counts rows that were already written into ``table``, behind the others."""
        self._count += rows

    def of(self, id: int) -> Rows:
        """Returns all remembered rows of a track."""
        rows = np.flatnonzero(self.table.id[: self._count] == id)
        if self._frames is not None:
            # Later rows are kept: a track that is lost for long still ends as something.
            end = int(np.flatnonzero(self.table.seen[rows]).max(initial=-1)) + 1
            before = rows[:end]
            frames, times = self.table.frame[before], np.cumsum(self.table.elapsed[before])
            recent = frames > frames[-1:] - self._frames
            recent &= times > times[-1:] - self._frames
            rows = rows[end - int(recent.sum()) :]
        return Rows(*(column[rows] for column in self.table))

    def _tidy(self, alive: Array, room: int) -> None:
        old = Rows(*(column[: self._count] for column in self.table))
        stay = np.isin(old.id, alive, assume_unique=False)
        if self._frames is not None:
            is_first = np.diff(old.frame, prepend=-1) != 0  # rows of a frame have the same time
            times = np.cumsum(np.where(is_first, old.elapsed, 0))
            _, track = np.unique(old.id, return_inverse=True)
            last = np.zeros(len(old.id), np.intp)  # row of each track's last detection
            np.maximum.at(last, track[old.seen], np.flatnonzero(old.seen))
            last = last[track]
            stay &= old.frame > old.frame[last] - self._frames
            stay &= times > times[last] - self._frames
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
        np.empty((rows, 4)),
        np.empty((rows, classes), np.float32),
    )
