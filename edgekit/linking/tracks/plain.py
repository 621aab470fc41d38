"""Updates the tracks of EdgeKit's linker in numpy, also while an actor is hidden.

``edgekit/linking/tracks/compiled.py`` does this in C. Both give equal results to the last bit, so
the C code must follow the operations and their order here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from edgekit.linking.tracks.history import History
from edgekit.linking.tracks.kalman import States, corners, corrected, predicted, started, step_of
from edgekit.linking.tracks.look import Look
from edgekit.linking.tracks.matching import (
    SUPPRESSED,
    by_distance,
    by_overlap,
    greedy,
    padded,
    unit,
)
from edgekit.runtime.iou import touching_pairs
from edgekit.runtime.types import Array

__all__ = ["FLOOR", "SURE_HITS", "Ended", "Live", "PlainTracks"]

FLOOR = 0.001
SURE_HITS = 4


class Ended(NamedTuple):
    """Tracks that ended.

    Attributes:
        id: Id of each track, (k,).
        hits: Number of detections, (k,).
        watched: Time that these detections stand for, (k,), in frames at 25 per second.
        sums: Sums of the scores, (k, C).
    """

    id: Array
    hits: Array
    watched: Array
    sums: Array


class Live(NamedTuple):
    """The live tracks in order of birth, with the fields of ``LiveTube``; ``box`` is (n, 4)."""

    id: Array
    label: Array
    score: Array
    box: Array
    age: Array
    start: Array
    hits: Array


# Many attributes: the columns of a table.
@dataclass(slots=True, eq=False)
class _Rows:
    """A row for each track; ``size`` is width and height, not their logarithms.

    ``recent`` are the sums of the scores, in which earlier detections fade; ``weight`` is the sum
    of the weights.
    """

    id: Array
    start: Array
    hits: Array
    misses: Array
    lost: Array
    watched: Array
    sums: Array
    level: Array
    recent: Array
    weight: Array
    states: Array
    size: Array

    def take(self, rows: Array) -> _Rows:
        return _Rows(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: _Rows) -> _Rows:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return _Rows(*(np.concatenate(pair) for pair in pairs))


class _Found(NamedTuple):
    """The detections of a frame that can be linked."""

    boxes: Array
    scores: Array
    peak: Array
    size: Array
    measured: Array

    @classmethod
    def of(cls, boxes: Array, scores: Array) -> _Found:
        boxes, scores = np.asarray(boxes, np.float64), np.asarray(scores, np.float64)
        peak = scores.max(axis=1, initial=0.0)
        with np.errstate(invalid="ignore", over="ignore"):
            side = boxes[:, 2:] - boxes[:, :2]
        # These bounds keep every coordinate finite, and exclude NaN.
        good = (peak > FLOOR) & (peak < np.inf) & ((side > 0) & (side < np.inf)).all(axis=1)
        if not good.all():
            boxes, scores, peak, side = (field[good] for field in (boxes, scores, peak, side))
        size = np.maximum(side, 1.0)
        measured = np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, np.log(size)), axis=1)
        return cls(boxes, padded(scores), peak, size, measured)

    def take(self, rows: Array) -> _Found:
        return _Found(*(field[rows] for field in self))


class PlainTracks:
    """All live tracks, and their update in each frame.

    Args:
        classes: Number of classes, C.
        max_misses: Limit of ``OnlineLinker`` on the time without a detection.
        history: History that receives a row for each live track in every frame.
    """

    def __init__(self, classes: int, max_misses: float, history: History) -> None:
        self._classes = classes
        self._max_misses = max_misses
        self._history = history
        nothing = _Found.of(np.zeros((0, 4)), np.zeros((0, classes)))
        self._rows = _born(nothing, 0, Look())

    def __len__(self) -> int:
        return len(self._rows.id)

    def step(self, boxes: Array, scores: Array, look: Look, next_id: int) -> tuple[int, Ended]:
        """Updates the tracks for the next processed frame.

        Args:
            boxes: Boxes, (n, 4); those without an area or a score are ignored.
            scores: Scores of each box, (n, C).
            look: Time of the frame.
            next_id: Id of the first new track in this frame.

        Returns:
            The number of new tracks, and the tracks that ended.
        """
        found, tracks = _Found.of(boxes, scores), self._rows
        self._history.reserve(len(tracks.id) + len(found.peak), tracks.id)
        if len(tracks.id):
            which, pick = self._advance(found, look)
        else:
            which = pick = np.zeros(0, np.intp)
        free = _free(found, pick, look.outshines())
        births = _born(found.take(free), next_id, look)
        every = tracks.joined(births) if len(free) else tracks
        unsure, longest = look.allowed(self._max_misses)
        ended = every.lost >= np.where(every.hits < SURE_HITS, unsure, longest)
        partner = np.full(len(every.id), -1)
        partner[which], partner[len(tracks.id) :] = pick, free
        if not ended.any():
            gone, live = every.take(np.zeros(0, np.intp)), every
        else:
            stay = np.flatnonzero(~ended)
            gone, live, partner = every.take(np.flatnonzero(ended)), every.take(stay), partner[stay]
        live.size = np.exp(live.states[:, 0, 2:])
        self._rows = live
        self._remember(found, partner, look)
        return len(free), self._ended(gone)

    def _remember(self, found: _Found, partner: Array, look: Look) -> None:
        live, seen = self._rows, partner >= 0
        boxes, scores = np.zeros((len(seen), 4)), np.zeros((len(seen), self._classes), np.float32)
        boxes[seen] = found.boxes[partner[seen]]
        scores[seen] = found.scores[partner[seen], : self._classes]
        self._history.append(live.id, look[:3], seen, live.states, boxes, scores)

    def end(self, keep: Collection[int] = ()) -> Ended:
        """Ends all tracks, except those whose ids are in ``keep``."""
        stays = np.isin(self._rows.id, list(keep))
        gone, self._rows = self._rows.take(~stays), self._rows.take(stays)
        return self._ended(gone)

    def live(self) -> Live:
        """Returns the public fields of each live track."""
        rows = self._rows
        label = rows.recent[:, : self._classes].argmax(axis=1)
        score = rows.recent[np.arange(len(label)), label] / rows.weight
        box = corners(rows.states[:, 0], rows.size)
        return Live(rows.id, label, score, box, rows.misses, rows.start, rows.hits)

    def _ended(self, rows: _Rows) -> Ended:
        return Ended(rows.id, rows.hits, rows.watched, rows.sums[:, : self._classes])

    def _advance(self, found: _Found, look: Look) -> tuple[Array, Array]:
        """Predicts, matches and corrects, in place; returns the pairs by their rows."""
        tracks = self._rows
        ahead = predicted(States(*tracks.states.swapaxes(0, 1)), tracks.size, step_of(look.elapsed))
        size = np.exp(ahead.place[:, 2:])
        which, pick = self._match(ahead.place, size, found, look.elapsed - 1)
        states = np.stack(ahead, axis=1)
        near = States(*(field[which] for field in ahead))
        near = corrected(near, found.measured[pick], size[which])
        states[which] = np.stack(near, axis=1)
        tracks.states = states
        tracks.misses += look.passed
        tracks.misses[which] = 0
        tracks.lost += look.elapsed
        tracks.lost[which] = 0
        tracks.watched[which] += look.elapsed
        tracks.hits[which] += 1
        tracks.sums[which] += found.scores[pick]
        tracks.level[which] += found.peak[pick]
        kept = np.minimum((look.remembered() - 1) / tracks.weight[which], 1.0)
        tracks.recent[which] = tracks.recent[which] * kept[:, None] + found.scores[pick]
        tracks.weight[which] = tracks.weight[which] * kept + 1
        return which, pick

    def _match(self, place: Array, size: Array, found: _Found, late: float) -> tuple[Array, Array]:
        tracks, count = self._rows, len(found.peak)
        if not count:
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        profiles = unit(tracks.sums), unit(found.scores)
        level, peak = np.log(tracks.level / tracks.hits), np.log(found.peak)
        levels = level.astype(np.float32), peak.astype(np.float32)
        which, pick = greedy(*by_overlap(corners(place, size), found.boxes, profiles, levels))
        rows, columns = _others(len(tracks.id), which), _others(count, pick)
        if len(rows) and len(columns):
            more, others = greedy(
                *by_distance(
                    (place[rows], found.measured[columns]),
                    (size[rows], found.size[columns]),
                    tracks.lost[rows] + late,
                    (profiles[0][rows], profiles[1][columns]),
                )
            )
            which = np.concatenate((which, rows[more]))
            pick = np.concatenate((pick, columns[others]))
        return which, pick


def _others(count: int, rows: Array) -> Array:
    """Returns the rows of ``count`` that are not among these, ascending."""
    other = np.ones(count, np.bool_)
    other[rows] = False
    return np.flatnonzero(other)


def _free(found: _Found, pick: Array, ratio: float) -> Array:
    """Returns unmatched detections that start tracks: no pair or better detection overlaps them.

    A pair whose detection scores less than a part in ``ratio`` of theirs does not count.
    """
    rows = _others(len(found.peak), pick)
    if not len(rows):
        return rows
    rows = rows[np.argsort(-found.peak[rows].astype(np.float32), kind="stable")]
    better = np.concatenate((pick, rows))
    worse, winners, _ = touching_pairs(found.boxes[rows], found.boxes[better], SUPPRESSED)
    equal = found.peak[rows[worse]] <= ratio * found.peak[better[winners]]
    worse, winners = worse[equal], winners[equal] - len(pick)
    gone: set[int] = set()
    for loser, winner in zip(worse.tolist(), winners.tolist(), strict=True):
        if winner < loser and winner not in gone:
            gone.add(loser)
    return np.delete(rows, list(gone))


def _born(found: _Found, first_id: int, look: Look) -> _Rows:
    count = len(found.peak)
    return _Rows(
        np.arange(first_id, first_id + count),
        np.full(count, look.frame),
        np.ones(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count),
        np.full(count, look.elapsed),
        found.scores.copy(),
        found.peak.copy(),
        found.scores.copy(),
        np.ones(count),
        np.stack(started(found.measured, found.size), axis=1),
        found.size,
    )
