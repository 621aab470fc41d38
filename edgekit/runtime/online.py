"""EdgeKit's own linker: online, one track for an actor whatever the class.

Each actor is a track with one Kalman filter, and its class is what its scores add up to. In every
frame tracks and detections are paired twice: by overlap and likeness of their scores, and what is
left over by distance and class. A track that is not found goes on for ``max_misses`` frames. When
it ends, the stretches in which it acts become tubes, one list for each of its likely classes.
docs/linking.md tells where each constant comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from edgekit.errors import UsageError
from edgekit.runtime._evidence import spans
from edgekit.runtime._history import History, Rows
from edgekit.runtime._kalman import (
    States,
    coordinates,
    corners,
    corrected,
    predicted,
    smoothed,
    started,
)
from edgekit.runtime._matching import by_distance, by_overlap, cosine, greedy, overlapping
from edgekit.runtime.tubes import LinkUpdate, LiveTube
from edgekit.runtime.types import Array, Detections, Tube

__all__ = ["MAX_MISSES", "OnlineLinker"]

MAX_MISSES = 30
"""A second at usual frame rates: longer occlusions are rare, and twice as much is no better."""

_FLOOR = 0.001
_SURE_HITS = 4
_UNSURE_MISSES = 5
_SUPPRESSED = 0.3
_CLASSES = 3
_FULL_LENGTH = 40


@dataclass(slots=True, eq=False)
class _Tracks:
    """The live tracks in order of birth, a row each."""

    id: Array
    start: Array
    hits: Array
    misses: Array
    sums: Array
    level: Array
    states: Array

    def take(self, rows: Array) -> _Tracks:
        return _Tracks(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: _Tracks) -> _Tracks:
        pairs = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return _Tracks(*(np.concatenate(pair) for pair in pairs))


class OnlineLinker:
    """Links the detections of consecutive frames into tubes of actors, all classes together.

    A frame's live tubes depend on that frame and those before it only. A tube that ends is final:
    trimmed and scored. Tubes of one track have ids of their own; the best of them has the id
    under which the track was live.

    Args:
        classes: Number of classes, C.
        max_misses: A track ends with this many frames in a row without a detection, at least 1;
            one with fewer than 4 detections ends after 5.
        min_length: A track of no more detections than this leaves no tube; of the tubes of one
            track, those of no more frames are dropped unless all are.
        delay: Boxes of finished tubes are refined by what was seen up to so many frames later; 0
            leaves them as they were when live.
        history: A track remembers this many of its newest frames; None remembers all.

    Raises:
        UsageError: ``max_misses`` or ``delay`` is out of range.
    """

    def __init__(
        self,
        classes: int,
        *,
        max_misses: int = MAX_MISSES,
        min_length: int = 5,
        delay: int = 0,
        history: int | None = None,
    ) -> None:
        if max_misses < 1:
            raise UsageError(
                f"--max-misses is {max_misses}, and a tube ends after at least one miss.",
                mend="Give a number from 1 up.",
            )
        if delay < 0:
            raise UsageError(
                f"--delay is {delay}, expected a number of frames.", mend="Give 0 or more."
            )
        self._classes = classes
        self._max_misses = max_misses
        self._min_length = min_length
        self._delay = delay
        self._history = History(classes, history)
        self._frame = 0
        self._next_id = 0
        self._tracks = _born(np.zeros((0, 4)), np.zeros((0, classes)), 0, 0)

    def update(
        self, detections: Detections, picks: Sequence[Sequence[int]] | None = None
    ) -> LinkUpdate:
        """Takes the next frame.

        Args:
            detections: boxes (n, 4) and scores (n, C), scores not below 0.
            picks: Ignored; the linker looks at whole boxes, not at one class after the other.
        """
        boxes = np.asarray(detections.boxes, np.float64).reshape(-1, 4)
        scores = np.asarray(detections.scores, np.float64)
        good = (scores.max(axis=1, initial=0.0) > _FLOOR) & (boxes[:, 2:] > boxes[:, :2]).all(
            axis=1
        )
        if not good.all():
            boxes, scores = boxes[good], scores[good]
        closed = self._step(boxes, scores)
        return LinkUpdate(self._live_tubes(), closed)

    def skip(self, frames: int) -> list[Tube]:
        """Counts ``frames`` lost frames as misses of every track; returns the tubes that end."""
        closed: list[Tube] = []
        steps = min(frames, max(self._max_misses, _UNSURE_MISSES))
        for _ in range(steps):
            closed += self._step(np.zeros((0, 4)), np.zeros((0, self._classes)))
        self._frame += frames - steps
        return closed

    def finish(self) -> list[Tube]:
        """Ends all tracks that are alive; returns their tubes."""
        closed = self._close(self._tracks)
        self._tracks = self._tracks.take(np.zeros(0, np.intp))
        return closed

    def resize(self, frame_size: tuple[int, int]) -> list[Tube]:
        """Ends all tracks, as ``finish`` does, and goes on in frames of another size."""
        return self.finish()

    def _step(self, boxes: Array, scores: Array) -> list[Tube]:
        tracks = self._tracks
        measured = coordinates(boxes)
        if len(tracks.id):
            ahead = predicted(States(*tracks.states.swapaxes(0, 1)))
            which, found = self._match(tracks, ahead, boxes, measured, scores)
            self._advance(ahead, measured, scores, which, found)
        else:
            which = found = np.zeros(0, np.intp)
        free = self._free(boxes, scores, found)
        births = _born(measured[free], scores[free], self._next_id, self._frame)
        self._next_id += len(free)
        every = tracks.joined(births) if len(free) else tracks
        allowed = np.where(every.hits < _SURE_HITS, _UNSURE_MISSES, self._max_misses)
        ended = every.misses >= np.minimum(allowed, self._max_misses)
        stay = np.flatnonzero(~ended)
        live = every.take(stay) if len(stay) < len(ended) else every
        row_scores = np.zeros((len(every.id), self._classes), np.float32)
        row_scores[which] = scores[found]
        row_scores[len(tracks.id) :] = scores[free]
        columns = {"seen": live.misses == 0, "states": live.states, "scores": row_scores[stay]}
        closed = self._close(every.take(np.flatnonzero(ended))) if len(stay) < len(ended) else []
        self._history.append(live.id, self._frame, columns)
        self._tracks = live
        self._frame += 1
        return closed

    def _match(
        self, tracks: _Tracks, ahead: States, boxes: Array, measured: Array, scores: Array
    ) -> tuple[Array, Array]:
        """The pairs of tracks and detections, by their rows."""
        if not len(boxes):
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        alike = cosine(tracks.sums, scores)
        level = tracks.level / tracks.hits
        pairs = by_overlap(corners(ahead.place), boxes, alike, level, scores.max(axis=1))
        which, found = greedy(*pairs)
        left = np.ones(len(tracks.id), bool)
        left[which] = False
        over = np.ones(len(boxes), bool)
        over[found] = False
        rows, columns = np.flatnonzero(left), np.flatnonzero(over)
        if len(rows) and len(columns):
            pairs = by_distance(
                ahead.place[rows],
                measured[columns],
                tracks.misses[rows],
                alike[rows[:, None], columns],
            )
            more, others = greedy(*pairs)
            which = np.concatenate((which, rows[more]))
            found = np.concatenate((found, columns[others]))
        return which, found

    def _advance(
        self, ahead: States, measured: Array, scores: Array, which: Array, found: Array
    ) -> None:
        """Brings the tracks to this frame, in place."""
        tracks = self._tracks
        states = np.stack(ahead, axis=1)
        near = corrected(States(*(field[which] for field in ahead)), measured[found])
        states[which] = np.stack(near, axis=1)
        tracks.states = states
        tracks.misses += 1
        tracks.misses[which] = 0
        tracks.hits[which] += 1
        tracks.sums[which] += scores[found]
        tracks.level[which] += scores[found].max(axis=1, initial=0.0)

    def _free(self, boxes: Array, scores: Array, found: Array) -> Array:
        """The detections that start tracks: no pair, and no better one or pair in their place."""
        over = np.ones(len(boxes), bool)
        over[found] = False
        rows = np.flatnonzero(over)
        if not len(rows):
            return rows
        rows = rows[np.argsort(-scores[rows].max(axis=1), kind="stable")]
        better = np.concatenate((found, rows))
        worse, winners, _ = overlapping(boxes[rows], boxes[better], _SUPPRESSED)
        gone: set[int] = set()
        for loser, winner in zip(worse.tolist(), (winners - len(found)).tolist(), strict=True):
            if winner < loser and winner not in gone:
                gone.add(loser)
        return np.delete(rows, list(gone))

    def _close(self, tracks: _Tracks) -> list[Tube]:
        closed: list[Tube] = []
        for row in np.flatnonzero(tracks.hits > self._min_length).tolist():
            closed += self._tubes(int(tracks.id[row]), tracks.sums[row])
        return closed

    def _tubes(self, id: int, sums: Array) -> list[Tube]:
        """The tubes of one track, best first."""
        rows = self._history.of(id)
        if not rows.seen.any():
            return []
        length = np.sqrt(min(1.0, rows.seen.sum() / _FULL_LENGTH))
        boxes = self._boxes(rows)
        tubes = []
        for label in np.argsort(-sums, kind="stable")[:_CLASSES].tolist():
            purity = sums[label] / sums.sum()
            for first, last, level in spans(rows.scores[:, label], rows.seen):
                inside = slice(first, last + 1)
                tubes.append(
                    Tube(
                        id=-1,
                        label=label,
                        score=float(level * length * purity),
                        start=int(rows.frame[first]),
                        end=int(rows.frame[last]),
                        boxes=boxes[inside],
                        scores=rows.scores[inside, label].astype(np.float64),
                        observed=rows.seen[inside],
                    )
                )
        # The stretches of one class have one score: the longest of them says most.
        tubes.sort(key=lambda tube: (-tube.score, tube.start - tube.end))
        # What was live has to end as something: where all are too short, the best one stays.
        long = [tube for tube in tubes if tube.end - tube.start >= self._min_length]
        tubes = long or tubes[:1]
        others = range(self._next_id, self._next_id + len(tubes) - 1)
        self._next_id += len(others)
        named = zip(tubes, (id, *others), strict=False)
        return [replace(tube, id=own) for tube, own in named]

    def _boxes(self, rows: Rows) -> Array:
        if not self._delay:
            return corners(rows.states[:, 0])
        return corners(smoothed(States(*rows.states.swapaxes(0, 1)), self._delay))

    def _live_tubes(self) -> list[LiveTube]:
        tracks = self._tracks
        if not len(tracks.id):
            return []
        label = tracks.sums.argmax(axis=1)
        score = tracks.sums[np.arange(len(label)), label] / tracks.hits
        columns = (
            tracks.id,
            label,
            score,
            corners(tracks.states[:, 0]),
            tracks.misses,
            tracks.start,
            tracks.hits,
        )
        return list(map(LiveTube._make, zip(*(column.tolist() for column in columns), strict=True)))


def _born(measured: Array, scores: Array, first_id: int, frame: int) -> _Tracks:
    count = len(measured)
    return _Tracks(
        np.arange(first_id, first_id + count),
        np.full(count, frame),
        np.ones(count, np.int64),
        np.zeros(count, np.int64),
        scores.copy(),
        scores.max(axis=1, initial=0.0),
        np.stack(started(measured), axis=1),
    )
