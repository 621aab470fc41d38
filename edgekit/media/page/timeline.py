"""The tubes of the last minute: where each was observed, as it grows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
    runs: list[list[int]] = field(default_factory=list)
    """First and last frame of each stretch in which the tube was observed."""

    def to_json(self, begin: int) -> dict[str, Any]:
        runs = [run for run in self.runs[-_MOST_RUNS:] if run[1] >= begin]
        return {
            "id": self.id,
            "label": self.label,
            "score": round(self.score, 3),
            "start": self.start,
            "end": self.end,
            "alive": self.alive,
            "runs": runs,
        }


class Timeline:
    """Follows a run frame by frame, in memory that does not grow with it.

    Args:
        fps: Frames a second of the source, for how far back a minute is.
    """

    def __init__(self, fps: float) -> None:
        self._span = max(1, round(SECONDS * fps))
        self._alive: dict[int, _Row] = {}
        self._ended: deque[_Row] = deque(maxlen=_MOST_ENDED)
        self._gaps: deque[Gap] = deque(maxlen=_MOST_ENDED)
        self._now = 0

    @property
    def alive(self) -> int:
        """How many tubes live."""
        return len(self._alive)

    def gap(self, gap: Gap) -> None:
        """Notes a break."""
        self._gaps.append(gap)
        self._now = gap.index

    def frame(self, result: FrameResult) -> None:
        """Lets the tubes of a frame grow."""
        index = self._now = result.frame.index
        shown = set()
        for tube in result.tubes:
            shown.add(tube.id)
            row = self._alive.get(tube.id) or self._begin(tube, index)
            row.label, row.score, row.end = tube.label, tube.score, index
            if tube.observed:
                _extend(row.runs, index)
        for gone in [row for row in self._alive.values() if row.id not in shown]:
            # It ended, and `tube` tells the rest; or it is not sure enough any more.
            self._retire(gone)

    def tube(self, tube: Tube) -> None:
        """Puts a tube that ended as it was in the end."""
        row = self._alive.pop(tube.id, None)
        if row is None:
            row = next((row for row in reversed(self._ended) if row.id == tube.id), None)
            if row is None:
                return
        else:
            row.alive = False
            self._ended.append(row)
        row.label, row.score, row.start, row.end = tube.label, tube.score, tube.start, tube.end
        padded = np.concatenate(([False], tube.observed, [False]))
        edges = np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)[-_MOST_RUNS:]
        row.runs = [[tube.start + first, tube.start + last - 1] for first, last in edges.tolist()]

    def to_json(self) -> dict[str, Any]:
        """What happened in the last minute: living tubes first, then those that ended last."""
        begin = self._now - self._span
        alive = sorted(self._alive.values(), key=lambda row: -row.id)
        ended = [row for row in reversed(self._ended) if row.end >= begin]
        gaps = [gap for gap in self._gaps if gap.index >= begin]
        return {
            "now": self._now,
            "tubes": [row.to_json(begin) for row in [*alive, *ended]],
            "gaps": [[gap.index - gap.frames, gap.index, gap.reason] for gap in gaps],
        }

    def _begin(self, tube: LiveTube, index: int) -> _Row:
        row = next((row for row in self._ended if row.id == tube.id), None)
        if row is not None:
            self._ended.remove(row)
            row.alive = True
        else:
            row = _Row(tube.id, tube.label, 0.0, tube.start, index)
            if tube.hits > index - tube.start:  # it is shown from its third detection on, say
                row.runs.append([tube.start, index])
        self._alive[tube.id] = row
        return row

    def _retire(self, row: _Row) -> None:
        del self._alive[row.id]
        row.alive = False
        self._ended.append(row)


def _extend(runs: list[list[int]], index: int) -> None:
    if runs and runs[-1][1] >= index - 1:
        runs[-1][1] = index
    else:
        runs.append([index, index])
        del runs[:-_MOST_RUNS]
