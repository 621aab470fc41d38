"""EdgeKit's own linker: online, one track for an actor whatever the class.

Each actor is a track with one Kalman filter, and its class is what its scores add up to. In every
frame tracks and detections are paired twice: by overlap and likeness of their scores, and what is
left over by distance and class. A track that is not found goes on for ``max_misses`` frames. When
it ends, the stretches in which it acts become tubes, one list for each of its likely classes.
docs/linking.md tells where each constant comes from.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

import numpy as np

from edgekit.errors import UsageError
from edgekit.runtime._evidence import spans
from edgekit.runtime._history import History, Rows
from edgekit.runtime._kalman import States, corners, smoothed
from edgekit.runtime._tracks import UNSURE_MISSES, Ended, PlainTracks
from edgekit.runtime.native.library import NUMPY, compiled, setting
from edgekit.runtime.native.tracks import NativeTracks
from edgekit.runtime.tubes import LinkUpdate, LiveTube
from edgekit.runtime.types import Array, Detections, Tube

__all__ = ["MAX_MISSES", "OnlineLinker"]

MAX_MISSES = 30
"""A second at usual frame rates: longer occlusions are rare, and twice as much is no better."""

_CLASSES = 3
_FULL_LENGTH = 40


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

    Attributes:
        min_length: May be changed.

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
        self.min_length = min_length
        self._delay = delay
        # Only the smoother asks for more than where a track was.
        self._history = History(classes, history, fields=5 if delay else 1)
        self._frame = 0
        self._next_id = 0
        self._tracks = _tracks(classes, max_misses, self._history)

    def update(self, detections: Detections) -> LinkUpdate:
        """Takes the next frame.

        Args:
            detections: boxes (n, 4) and scores (n, C), scores not below 0.
        """
        boxes = np.asarray(detections.boxes).reshape(-1, 4)
        closed = self._step(boxes, np.asarray(detections.scores))
        return LinkUpdate(self._live_tubes(), closed)

    def skip(self, frames: int) -> list[Tube]:
        """Counts ``frames`` lost frames as misses of every track; returns the tubes that end."""
        closed: list[Tube] = []
        steps = min(frames, max(self._max_misses, UNSURE_MISSES))
        for _ in range(steps):
            closed += self._step(np.zeros((0, 4)), np.zeros((0, self._classes)))
        self._frame += frames - steps
        return closed

    def finish(self) -> list[Tube]:
        """Ends all tracks that are alive; returns their tubes."""
        return self._close(self._tracks.end())

    def resize(self, frame_size: tuple[int, int]) -> list[Tube]:
        """Ends all tracks, as ``finish`` does, and goes on in frames of another size."""
        return self.finish()

    def _step(self, boxes: Array, scores: Array) -> list[Tube]:
        born, ended = self._tracks.step(boxes, scores, self._frame, self._next_id)
        self._next_id += born
        self._frame += 1
        return self._close(ended)

    def _close(self, tracks: Ended) -> list[Tube]:
        closed: list[Tube] = []
        for row in np.flatnonzero(tracks.hits > self.min_length).tolist():
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
        long = [tube for tube in tubes if tube.end - tube.start >= self.min_length]
        tubes = long or tubes[:1]
        others = range(self._next_id, self._next_id + len(tubes) - 1)
        self._next_id += len(others)
        named = zip(tubes, (id, *others), strict=False)
        return [replace(tube, id=own, track=id) for tube, own in named]

    def _boxes(self, rows: Rows) -> Array:
        if not self._delay:
            return corners(rows.states[:, 0])
        return corners(smoothed(States(*rows.states.swapaxes(0, 1)), self._delay))

    def _live_tubes(self) -> list[LiveTube]:
        if not len(self._tracks):
            return []
        columns = (column.tolist() for column in self._tracks.live())
        # Less than half the time of calling the class.
        return list(map(tuple.__new__, repeat(LiveTube), zip(*columns, strict=True)))


def _tracks(classes: int, max_misses: int, history: History) -> PlainTracks | NativeTracks:
    kernel, library = setting().kernel, compiled()
    if kernel == NUMPY or library is None:
        return PlainTracks(classes, max_misses, history)
    return NativeTracks(library, kernel, classes, max_misses, history)
