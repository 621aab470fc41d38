"""Records the frames in which each tube's box was drawn, for the bars on the picture and page."""

from __future__ import annotations

from typing import NamedTuple

from edgekit.pipeline.results import FrameResult

__all__ = ["DrawnBoxes", "DrawnRun"]


class DrawnRun(NamedTuple):
    """Consecutive frames in which a tube's box was drawn in the same way.

    Frames that were not processed, between two that were, count like the first of them.

    Attributes:
        first: Index of the first frame.
        last: Index of the last frame, inclusive.
        observed: Whether the boxes are detections; otherwise they are extrapolated.
    """

    first: int
    last: int
    observed: bool


class DrawnBoxes:
    """Remembers the drawn boxes of live tubes, updated with every frame.

    Args:
        most: Number of newest runs to remember for each tube.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: dict[int, list[DrawnRun]] = {}
        self._gone: set[int] = set()
        self._before = -1

    def frame(self, result: FrameResult) -> None:
        """Records the boxes of the next frame."""
        # The end of a tube is reported after the first frame without it. A tube that is still here
        # at the second such frame will not be asked for: a slow output has dropped its end.
        gone = self._runs.keys() - {tube.id for tube in result.tubes}
        for id in gone & self._gone:
            del self._runs[id]
        self._gone = gone
        index = result.frame.index
        for tube in result.actors:
            runs = self._runs.setdefault(tube.id, [])
            if runs and runs[-1].last == self._before:
                goes_on = runs[-1].observed == tube.observed
                runs[-1] = runs[-1]._replace(last=index if goes_on else index - 1)
                if goes_on:
                    continue
            runs.append(DrawnRun(index, index, tube.observed))
            del runs[: -self._most]
        self._before = index

    def of(self, id: int) -> list[DrawnRun]:
        """Returns the runs of a tube, in order of time."""
        return self._runs.get(id, [])

    def end(self, id: int) -> list[DrawnRun]:
        """Returns the runs of a tube that has ended, and forgets them."""
        return self._runs.pop(id, [])
