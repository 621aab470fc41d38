"""Tracks the tubes of the last minute and the frames in which each was drawn."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.linking.published import LiveTube
from edgekit.media.drawing.drawn_boxes import DrawnBoxes, DrawnRun
from edgekit.pipeline.results import FrameResult, Gap
from edgekit.runtime.types import Tube

__all__ = ["SECONDS", "Timeline"]

SECONDS = 60.0
"""Seconds of history; tubes that ended before are forgotten."""

_MOST_ENDED = 60
_MOST_RUNS = 40
"""Number of newest drawn runs kept for each tube."""

_RECENT = 256
_ENOUGH = 16
_NEAR = 0.2
"""Largest difference of a declared rate from that of the newest frames, as a share; a smaller one
may be jitter."""


@dataclass(slots=True)
class _TubeRow:
    id: int
    label: int
    score: float
    start: int
    end: int
    alive: bool = True
    drawn: Sequence[DrawnRun] = ()

    @property
    def last(self) -> int:
        """Last frame that the row shows."""
        return max([self.end, *(run.last for run in self.drawn[-1:])])

    def to_json(self, begin: int) -> dict[str, object]:
        return {
            "id": self.id,
            "label": self.label,
            "score": round(self.score, 3),
            "start": self.start,
            "end": self.end,
            "alive": self.alive,
            "runs": [list(run) for run in self.drawn if run.last >= begin],
        }


class Timeline:
    """Follows a run frame by frame, in bounded memory.

    Args:
        fps: Frame rate that the source declares; also an attribute.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._alive: dict[int, _TubeRow] = {}
        self._ended: deque[_TubeRow] = deque(maxlen=_MOST_ENDED)
        self._gaps: deque[Gap] = deque(maxlen=_MOST_ENDED)
        self._drawn = DrawnBoxes(_MOST_RUNS)
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT)
        self._now = 0

    @property
    def alive(self) -> int:
        """Number of live tubes."""
        return len(self._alive)

    @property
    def rate(self) -> float:
        """Frames per second; a camera may be slower than the rate that it declares."""
        if len(self._recent) < _ENOUGH:
            return self.fps
        (first, begin), (last, end) = self._recent[0], self._recent[-1]
        rate = (last - first) / (end - begin) if begin < end < math.inf else 0.0
        return rate if rate and abs(rate - self.fps) > _NEAR * self.fps else self.fps

    def gap(self, gap: Gap) -> None:
        """Records missing frames; frames left out on purpose leave no gap in a tube."""
        if not gap.intended:
            self._gaps.append(gap)
        self._now = gap.index

    def frame(self, result: FrameResult) -> None:
        """Extends the tubes of a frame."""
        index = self._now = result.frame.index
        self._drawn.frame(result)
        self._recent.append((index, result.frame.time))
        shown = set()
        for tube in result.tubes:
            shown.add(tube.id)
            row = self._alive.get(tube.id) or self._begin(tube)
            row.label, row.score, row.end = tube.label, tube.score, index
            row.drawn = self._drawn.of(tube.id)
        for gone in [row for row in self._alive.values() if row.id not in shown]:
            # The tube has ended. ``tube`` gives its final values, unless that call is lost.
            self._retire(gone)

    def tube(self, tube: Tube) -> None:
        """Stores the final values of an ended tube."""
        row = self._alive.get(tube.id)
        if row is not None:
            self._retire(row)
        else:
            row = next((row for row in reversed(self._ended) if row.id == tube.id), None)
            if row is None:
                return
        self._drawn.end(tube.id)
        row.label, row.score, row.start, row.end = tube.label, tube.score, tube.start, tube.end

    def to_json(self) -> dict[str, object]:
        """Returns the last minute in JSON form: live tubes, then ended tubes, newest first."""
        rate = self.rate
        begin = self._now - max(1, round(SECONDS * rate))
        alive = sorted(self._alive.values(), key=lambda row: -row.id)
        ended = [row for row in reversed(self._ended) if row.last >= begin]
        gaps = [gap for gap in self._gaps if gap.index >= begin]
        return {
            "now": self._now,
            "fps": rate,
            "tubes": [row.to_json(begin) for row in [*alive, *ended]],
            "gaps": [[gap.index - gap.frames, gap.index, gap.reason] for gap in gaps],
        }

    def _begin(self, tube: LiveTube) -> _TubeRow:
        row = self._alive[tube.id] = _TubeRow(tube.id, tube.label, 0.0, tube.start, tube.start)
        return row

    def _retire(self, row: _TubeRow) -> None:
        del self._alive[row.id]
        row.alive = False
        self._ended.append(row)
