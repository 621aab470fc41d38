"""Collects the tubes of a run, and writes the summary picture that ``drawing.timeline`` draws."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekit._checks import as_flag, is_whole, required_path, unexpected
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.media._opencv import cv2
from edgekit.media.drawing.annotator import Annotator
from edgekit.media.drawing.drawn_boxes import DrawnBoxes
from edgekit.media.drawing.frame_times import FrameTimes
from edgekit.media.drawing.picture_file import refuse_no_picture, write_picture
from edgekit.media.drawing.square_pixels import in_size, shown_size
from edgekit.media.drawing.stage_chart import draw_stages
from edgekit.media.drawing.timeline import THUMBNAIL_HEIGHT, Thumbnail, TimelineRow, draw_timeline
from edgekit.media.sinks.sink import Sink, single_run
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Tube

__all__ = ["MOST_ROWS", "PictureSink"]

MOST_ROWS = 60
"""Largest number of tubes shown; the best ones are kept."""

_MOST_THUMBNAILS = 16
_WIDEST = 480
_MOST_RUNS = 1000
"""Largest number of drawn runs kept per tube: the picture has no more columns for them."""


class _Ranked(NamedTuple):
    score: float
    born: int
    row: TimelineRow


# Many attributes: its arguments, and what it collects for the picture.
@single_run
class PictureSink(Sink):
    """Draws a summary picture when the run is over.

    Each tube is a row over time in its class's colour, which shows how its box was drawn in each
    frame. Some annotated frames are shown above. Memory does not grow with the run: only the best
    tubes and a limited number of thumbnails, at a doubling distance, are kept.

    Args:
        path: Path ending in ``.png``, ``.jpg`` or another picture format of OpenCV.
        truth: Ground truth: class index, first and last frame of each tube. Each is shown above the
            tubes found of that class.
        stages: Whether to show the stage times too.

    Raises:
        OutputError: The file extension is unknown (raised at once), or the place cannot be written
            to (raised by ``end``).
    """

    def __init__(
        self,
        path: Path | str,
        *,
        truth: Sequence[tuple[int, int, int]] = (),
        stages: bool = False,
    ) -> None:
        self._path = required_path("path", path)
        self._truth = [
            TimelineRow(-1, label, 0.0, start, end, [], truth=True)
            for label, start, end in _checked_truth(truth)
        ]
        self._stages = as_flag("stages", stages)
        refuse_no_picture(self._path)
        self._info: RunInfo | None = None
        self._annotator = Annotator(())
        self._drawn = DrawnBoxes(_MOST_RUNS)
        self._times = FrameTimes(1.0)
        self._best: list[_Ranked] = []
        self._count = 0
        self._thumbnails: list[Thumbnail] = []
        self._distance = 1
        self._last = -1

    @property
    def needs_same_classes(self) -> bool:
        """True, because the picture has one list of classes."""
        return True

    @property
    def appears_at_end(self) -> bool:
        """True, because the picture is written at the end."""
        return True

    def start(self, info: RunInfo) -> None:
        """Stores the run's names and classes.

        Raises:
            UsageError: ``truth`` has a class that the run does not have.
        """
        if (label := max((row.label for row in self._truth), default=-1)) >= len(info.classes):
            raise UsageError(
                f"Expected {parameter('truth')} to have class indices below the number of classes, "
                f"{len(info.classes)}; found {label}."
            )
        self._info = info
        self._annotator = Annotator(info.classes)
        self._times = FrameTimes(info.fps)

    def bundle(self, change: BundleChange) -> None:
        """Names the bundle that runs now; its classes are the same."""
        assert self._info is not None
        if change.error is None:
            self._info = replace(self._info, bundle=change.name)

    def frame(self, result: FrameResult) -> None:
        """Keeps thumbnails of some frames."""
        index = result.frame.index
        self._last = index
        self._times.add(result.frame)
        assert self._info is not None
        self._info = self._info.seen(result.frame)
        self._annotator.follow(result)
        self._drawn.frame(result)
        if self._thumbnails and index < self._thumbnails[-1].frame + self._distance:
            return
        self._thumbnails.append(Thumbnail(index, self._small(result)))
        if len(self._thumbnails) > _MOST_THUMBNAILS:
            self._thumbnails = self._thumbnails[::2]
            self._distance = self._thumbnails[1].frame - self._thumbnails[0].frame

    def _small(self, result: FrameResult) -> Any:
        """Draws a frame THUMBNAIL_HEIGHT pixels high, with white borders if it is very wide."""
        width, height = shown_size(result.frame)
        scale = min(THUMBNAIL_HEIGHT / height, _WIDEST / width)
        small: Any = in_size(result.frame.image, width * scale, height * scale)
        small = self._annotator.draw_result(result, small)
        above = (THUMBNAIL_HEIGHT - small.shape[0]) // 2
        below = THUMBNAIL_HEIGHT - small.shape[0] - above
        sides = (above, below, 0, 0)
        return cv2.copyMakeBorder(small, *sides, cv2.BORDER_CONSTANT, value=(255, 255, 255))

    def tube(self, tube: Tube) -> None:
        """Keeps the tube if it is among the best."""
        self._count += 1
        row = TimelineRow(
            tube.id, tube.label, tube.score, tube.start, tube.end, self._drawn.end(tube.id)
        )
        item = _Ranked(tube.score, -tube.id, row)
        if len(self._best) < MOST_ROWS:
            heapq.heappush(self._best, item)
        else:
            heapq.heappushpop(self._best, item)

    def end(self, summary: RunSummary) -> None:
        """Draws and writes the picture."""
        assert self._info is not None
        rows = [*self._truth, *(item.row for item in self._best)]
        first = {row.label: min(r.start for r in rows if r.label == row.label) for row in rows}
        rows.sort(key=lambda row: (first[row.label], row.label, not row.truth, row.start, row.id))
        image = draw_timeline(
            self._info,
            summary,
            rows,
            self._count,
            self._thumbnails,
            frames=self._last + 1,
            times=self._times,
        )
        if self._stages:
            image = np.concatenate([image, draw_stages(summary.stages, image.shape[1])])
        write_picture(image, self._path)


def _checked_truth(truth: object) -> Sequence[tuple[int, int, int]]:
    """Returns the truth of a picture, if it is a sequence of three whole numbers each."""
    if isinstance(truth, list | tuple) and all(
        isinstance(one, list | tuple)
        and len(one) == 3
        and all(map(is_whole, one))
        and min(one) >= 0
        and one[1] <= one[2]
        for one in truth
    ):
        return truth
    words = "a sequence of class index, first and last frame, all whole numbers from 0"
    raise unexpected("truth", words, truth)
