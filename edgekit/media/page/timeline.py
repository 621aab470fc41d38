"""The tubes of the last minute: in which frames each was drawn, as it grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.media._drawn import DrawnBoxes, Run
from edgekit.runtime.results import FrameResult, Gap
from edgekit.runtime.tubes import LiveTube
from edgekit.runtime.types import Tube

__all__ = ["SECONDS", "Timeline"]

SECONDS = 60.0
"""What ended longer ago is forgotten."""

_MOST_ENDED = 60
_MOST_RUNS = 40
"""Of a tube that is lost and found all the time, so many of the last stretches are told."""


@dataclass(slots=True)
class _Row:
    id: int
    label: int
    score: float
    start: int
    end: int
    alive: bool = True
    drawn: Sequence[Run] = ()

    @property
    def last(self) -> int:
        """The last frame that the row shows."""
        return max([self.end, *(run.last for run in self.drawn[-1:])])

    def to_json(self, begin: int) -> dict[str, Any]:
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
    """Follows a run frame by frame, in memory that does not grow with it.

    Args:
        fps: Frames a second of the source, for how far back a minute is. An attribute too.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._alive: dict[int, _Row] = {}
        self._ended: deque[_Row] = deque(maxlen=_MOST_ENDED)
        self._gaps: deque[Gap] = deque(maxlen=_MOST_ENDED)
        self._drawn = DrawnBoxes(_MOST_RUNS)
        self._now = 0

    @property
    def alive(self) -> int:
        """How many tubes live."""
        return len(self._alive)

    def gap(self, gap: Gap) -> None:
        """Notes a break; what was left out on purpose leaves no hole in a tube."""
        if not gap.intended:
            self._gaps.append(gap)
        self._now = gap.index

    def frame(self, result: FrameResult) -> None:
        """Lets the tubes of a frame grow."""
        index = self._now = result.frame.index
        self._drawn.frame(result)
        shown = set()
        for tube in result.tubes:
            shown.add(tube.id)
            row = self._alive.get(tube.id) or self._begin(tube)
            row.label, row.score, row.end = tube.label, tube.score, index
            row.drawn = self._drawn.of(tube.id)
        for gone in [row for row in self._alive.values() if row.id not in shown]:
            # It ended, and `tube` tells the rest, unless that is lost on its way.
            self._retire(gone)

    def tube(self, tube: Tube) -> None:
        """Puts a tube that ended as it was in the end."""
        row = self._alive.get(tube.id)
        if row is not None:
            self._retire(row)
        else:
            row = next((row for row in reversed(self._ended) if row.id == tube.id), None)
            if row is None:
                return
        self._drawn.end(tube.id)
        row.label, row.score, row.start, row.end = tube.label, tube.score, tube.start, tube.end

    def to_json(self) -> dict[str, Any]:
        """What happened in the last minute: living tubes first, then those that ended last."""
        begin = self._now - max(1, round(SECONDS * self.fps))
        alive = sorted(self._alive.values(), key=lambda row: -row.id)
        ended = [row for row in reversed(self._ended) if row.last >= begin]
        gaps = [gap for gap in self._gaps if gap.index >= begin]
        return {
            "now": self._now,
            "tubes": [row.to_json(begin) for row in [*alive, *ended]],
            "gaps": [[gap.index - gap.frames, gap.index, gap.reason] for gap in gaps],
        }

    def _begin(self, tube: LiveTube) -> _Row:
        row = self._alive[tube.id] = _Row(tube.id, tube.label, 0.0, tube.start, tube.start)
        return row

    def _retire(self, row: _Row) -> None:
        del self._alive[row.id]
        row.alive = False
        self._ended.append(row)
