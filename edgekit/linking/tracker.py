"""EdgeKit's own linker: links frame by frame, with one track per actor for all classes.

Each actor is a track with one Kalman filter. Its class follows from the sum of its scores. In every
frame tracks and detections are matched twice: first by overlap and similar scores, then the rest by
distance and class. A track without a detection continues for ``max_misses`` frames. When it ends,
the parts of it in which the actor acts become tubes, for each of its likely classes.
docs/linking.md gives the reason for each constant.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import repeat

import numpy as np

from edgekit._checks import check_range
from edgekit.linking.published import LinkUpdate, LiveTube
from edgekit.linking.tracks.compiled import NativeTracks
from edgekit.linking.tracks.history import History, Rows
from edgekit.linking.tracks.interpolation import interpolated, reach
from edgekit.linking.tracks.kalman import States, corners, smoothed
from edgekit.linking.tracks.look import Look
from edgekit.linking.tracks.plain import Ended, PlainTracks
from edgekit.linking.tracks.segments import spans
from edgekit.runtime.native.library import NUMPY, compiled, setting
from edgekit.runtime.types import Array, Detections, Tube

__all__ = ["MAX_MISSES", "RATE", "OnlineLinker"]

RATE = 25.0
"""Frames per second of the videos for which the constants were chosen."""

MAX_MISSES = 30
"""Default misses, a second at usual rates; longer occlusions are rare, and 60 is no better."""

_CLASSES = 3
_LONGEST_PAUSE = 100
"""Longest pause, in frames at 25 per second; after four seconds it is not the same actor."""

_SAME = (0.75, 1.25)
_SHORTEST_STEP = 0.02
_FULL_LENGTH = 40


# Many attributes: its arguments, and the state of one stream.
class OnlineLinker:
    """Links the detections of consecutive frames into tubes of actors, for all classes together.

    The live tubes of a frame depend only on that frame and earlier ones. A tube that ends is final:
    trimmed and scored. Each tube of one track has its own id; the best one has the id that the live
    track had.

    Args:
        classes: Number of classes, C.
        max_misses: Number of frames at 25 per second without a detection after which a track ends,
            at least 1. A track with fewer than 4 detections ends after 5. If fewer frames are
            processed, a track survives 7 processed frames, or 4 with fewer than 4 detections.
        min_length: Number of detections that a track must exceed to leave tubes. Tubes of one track
            with no more frames than this are dropped, unless all are.
        delay: Number of later frames, at 25 per second, that refine the boxes of finished tubes; 0
            keeps the live boxes.
        history: Number of frames that a track remembers up to its last detection, and the time that
            it remembers in frames at 25 per second; None for all.

    Attributes:
        classes: Number of classes.
        min_length: Number of detections that a track must exceed; it may be changed.

    Raises:
        UsageError: ``max_misses`` or ``delay`` is out of range.
    """

    def __init__(
        self,
        classes: int,
        *,
        max_misses: float = MAX_MISSES,
        min_length: int = 5,
        delay: float = 0,
        history: int | None = None,
    ) -> None:
        check_range("max_misses", max_misses, 1)
        check_range("delay", delay, 0)
        self.classes = classes
        self._max_misses = max_misses
        self.min_length = min_length
        self._delay = delay
        # Only the smoother needs more than the positions of a track.
        self._history = History(classes, history, fields=5 if delay else 1)
        self._frame = self._held = 0
        self._look = Look(frame=-1)
        self._seconds: float | None = None
        self._elapsed = np.inf
        self._pace = 1.0
        self._forgotten = False
        self._next_id = 0
        self._tracks = _tracks(classes, max_misses, self._history)

    def update(self, detections: Detections, time: float | None = None) -> LinkUpdate:
        """Processes the next frame.

        Args:
            detections: Detections: boxes (n, 4) and scores (n, C), scores not below 0.
            time: Time of the frame in its source, in seconds; None assumes 25 frames per second.
        """
        closed = self.advance(detections, time)
        return LinkUpdate(self.live_tubes(), closed)

    def advance(self, detections: Detections, time: float | None = None) -> list[Tube]:
        """Processes the next frame, as ``update`` does; returns only the tubes that end with it."""
        boxes = np.asarray(detections.boxes).reshape(-1, 4)
        look = self._look_at(time)
        closed: list[Tube] = []
        if look.elapsed > _LONGEST_PAUSE:
            closed, look = self.finish(), look._replace(passed=1, elapsed=1.0)
        return closed + self._step(boxes, np.asarray(detections.scores), look)

    def skip(self, frames: int) -> list[Tube]:
        """Skips ``frames`` unprocessed frames, which do not count as misses.

        Returns:
            The tubes that end because the pause was too long.
        """
        self._frame += frames
        waited = self._frame - self._look.frame - self._held
        # Of a fast source these frames are less time; of a slow one, the next frame says how much.
        return self.finish() if waited * min(1.0, self._pace) > _LONGEST_PAUSE else []

    def longest_pause(self, fps: float) -> float:
        """Returns the largest number of seconds without a frame that a track can survive.

        Args:
            fps: Frames per second of the source.
        """
        return max(_LONGEST_PAUSE / RATE, 2.0 / fps)

    def hold(self, frames: int, keep: Collection[int] | None = None) -> list[Tube]:
        """Skips ``frames`` frames without motion: no time passes for the tracks.

        Args:
            frames: Number of frames.
            keep: Ids of the live tubes that continue, the others end; None keeps all.

        Returns:
            The tubes that end.
        """
        closed = [] if keep is None else self._close(self._tracks.end(keep))
        self._forgotten |= keep is not None
        self._frame += frames
        self._held += frames
        return closed

    def finish(self) -> list[Tube]:
        """Ends all live tracks; returns their tubes."""
        return self._close(self._tracks.end())

    def resize(self, frame_size: tuple[int, int]) -> list[Tube]:
        """Ends all tracks, returns their tubes, and continues in frames of another size."""
        return self.finish()

    def _look_at(self, seconds: float | None) -> Look:
        """Returns the time of the next processed frame."""
        before = self._look
        if before.frame < 0:  # the time before the first processed frame is unknown
            passed, self._held = 1, 0
        else:
            passed = self._frame - before.frame
        looked, self._held = passed - self._held, 0
        elapsed = float(looked)
        if seconds is not None and self._seconds is not None:
            pace = (seconds - self._seconds) * RATE / passed
            # Small jitter, and rates near that of the training, are ignored. Times that stand
            # still or run backwards carry no information.
            # Rounded, because 20 frames per second are at a limit, and their times are inexact.
            if pace > _SHORTEST_STEP and not _SAME[0] <= round(pace, 6) <= _SAME[1]:
                # A step that is long for its source is a pause; in a slow source each one is long.
                slow = not 0 < self._pace < _LONGEST_PAUSE
                elapsed = (min(pace, _LONGEST_PAUSE) if slow else pace) * looked
        self._seconds = seconds
        usual = min(elapsed, self._elapsed)
        if before.frame >= 0:
            self._elapsed, self._pace = elapsed, elapsed / looked
        elif seconds is not None:
            self._pace = 0.0  # only the next frame can say how long a pause was
        self._look = Look(self._frame, passed, elapsed, usual, self._forgotten)
        return self._look

    def _step(self, boxes: Array, scores: Array, look: Look) -> list[Tube]:
        born, ended = self._tracks.step(boxes, scores, look, self._next_id)
        self._next_id += born
        self._frame += 1
        return self._close(ended)

    def _close(self, tracks: Ended) -> list[Tube]:
        closed: list[Tube] = []
        if not len(tracks.id):
            return closed
        # Skips nearly all tracks of noise before their history is looked up.
        enough = np.maximum(tracks.hits, tracks.watched) > self.min_length
        for row in np.flatnonzero(enough & (tracks.hits > min(self.min_length, 1))).tolist():
            closed += self._tubes(int(tracks.id[row]), tracks.sums[row], int(tracks.hits[row]))
        return closed

    def _tubes(self, id: int, sums: Array, found: int) -> list[Tube]:
        """Returns the tubes of one track, best first; none if it was seen for too short a time."""
        rows = self._history.of(id)
        steps = rows.elapsed.copy()
        # The time before the track was born says little about how often it was observed.
        steps[:1] = steps[:2].min(initial=np.inf)
        hits, watched = rows.seen.sum(), steps[rows.seen].sum()
        if not hits or max(found, watched) <= self.min_length:
            return []
        # Few detections are weak evidence, however far apart they are.
        length = np.sqrt(min(1.0, min(watched, hits) / _FULL_LENGTH))
        boxes = self._boxes(rows)
        tubes = []
        for label in np.argsort(-sums, kind="stable")[:_CLASSES].tolist():
            purity = sums[label] / sums.sum()
            for first, last, level in spans(rows.scores[:, label], rows.seen, steps):
                start, end = reach(rows, first, last, self._frame - 1)
                inside = slice(first, last + 1)
                filled = interpolated(rows, boxes, label, inside, np.arange(start, end + 1))
                tubes.append(
                    Tube(
                        id=-1,
                        label=label,
                        score=float(level * length * purity),
                        start=start,
                        end=end,
                        boxes=filled[0],
                        scores=filled[1],
                        observed=filled[2],
                    )
                )
        # All stretches of one class have one score: the longest is the most reliable.
        tubes.sort(key=lambda tube: (-tube.score, tube.start - tube.end))
        # A live track must end as something: if all tubes are too short, the best one is kept.
        long = [tube for tube in tubes if tube.end - tube.start >= self.min_length]
        tubes = long or tubes[:1]
        others = range(self._next_id, self._next_id + len(tubes) - 1)
        self._next_id += len(others)
        named = zip(tubes, (id, *others), strict=False)
        return [replace(tube, id=own, track=id) for tube, own in named]

    def _boxes(self, rows: Rows) -> Array:
        if not self._delay:
            return corners(rows.states[:, 0])
        times = np.cumsum(rows.elapsed)
        return corners(smoothed(States(*rows.states.swapaxes(0, 1)), times, self._delay))

    def live_tubes(self) -> list[LiveTube]:
        """Returns the live tubes of the last processed frame."""
        if not len(self._tracks):
            return []
        columns = (column.tolist() for column in self._tracks.live())
        # This takes less than half the time of calling the class.
        return list(map(tuple.__new__, repeat(LiveTube), zip(*columns, strict=True)))


def _tracks(classes: int, max_misses: float, history: History) -> PlainTracks | NativeTracks:
    kernel, library = setting().kernel, compiled()
    if kernel == NUMPY or library is None:
        return PlainTracks(classes, max_misses, history)
    return NativeTracks(library, kernel, classes, max_misses, history)
