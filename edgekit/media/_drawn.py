"""Where the boxes of tubes were drawn: what the bars of the picture and of the page show."""

from __future__ import annotations

from typing import NamedTuple

from edgekit.runtime.results import FrameResult

__all__ = ["DrawnBoxes", "Run"]


class Run(NamedTuple):
    """Consecutive frames in which a tube's box was drawn in one way.

    Attributes:
        first: First frame.
        last: Last frame, inclusive.
        observed: Whether the boxes are detections; else they were extrapolated.
    """

    first: int
    last: int
    observed: bool


class DrawnBoxes:
    """Follows a run frame by frame, and remembers the boxes of the tubes that are alive.

    Args:
        most: So many of the newest runs of a tube are remembered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: dict[int, list[Run]] = {}
        self._gone: set[int] = set()

    def frame(self, result: FrameResult) -> None:
        """Takes the next frame."""
        # A tube's end is told after the first frame without it. What still is here at the second
        # one will not be asked for: an output that is too slow has lost that end.
        gone = self._runs.keys() - {tube.id for tube in result.tubes}
        for id in gone & self._gone:
            del self._runs[id]
        self._gone = gone
        index = result.frame.index
        for tube in result.actors:
            runs = self._runs.setdefault(tube.id, [])
            if runs and runs[-1].last == index - 1 and runs[-1].observed == tube.observed:
                runs[-1] = runs[-1]._replace(last=index)
            else:
                runs.append(Run(index, index, tube.observed))
                del runs[: -self._most]

    def of(self, id: int) -> list[Run]:
        """The runs of a tube, in order of time."""
        return self._runs.get(id, [])

    def end(self, id: int) -> list[Run]:
        """The runs of a tube that has ended; they are forgotten."""
        return self._runs.pop(id, [])
