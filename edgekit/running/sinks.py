"""Two sinks of ``edgekit run``: its file of detections, and the counts for its report."""

from __future__ import annotations

import contextlib
import heapq
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.files.output_paths import writing
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.frame_rate import MeasuredRate
from edgekit.runtime.types import Tube

if TYPE_CHECKING:
    from edgekit.metrics.detections_writer import FrameWriter

__all__ = ["DetectionsSink", "TubeTally"]


class DetectionsSink(Sink):
    """Saves all detections of a run in the format of ``edgekit.metrics.detections``.

    Args:
        path: Path of the file, which appears when the run is over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = contextlib.ExitStack()
        self._frames: FrameWriter | None = None
        self._info: RunInfo | None = None
        self._rate = MeasuredRate(1.0)
        self._ended = False

    @property
    def needs_same_classes(self) -> bool:
        """True, because the file has one list of classes."""
        return True

    @property
    def appears_at_end(self) -> bool:
        """True, because the file gets its name at the end."""
        return True

    def start(self, info: RunInfo) -> None:
        """Opens the file."""
        from edgekit.metrics.detections_writer import detections_writer

        self._info, self._rate = info, MeasuredRate(info.fps)
        writer = self._files.enter_context(detections_writer(self._path, info.classes))
        video = writer.video(Path(info.source).name, (info.width, info.height))
        self._frames = self._files.enter_context(video)

    def gap(self, gap: Gap) -> None:
        """Marks each missing frame as not processed."""
        with writing(self._path):
            self._fill(gap.index)

    def frame(self, result: FrameResult) -> None:
        """Writes the detections of a frame."""
        assert self._frames is not None
        assert self._info is not None
        if not all(self._frames.size):
            seen = self._info.seen(result.frame)
            self._frames.size = seen.width, seen.height
        self._rate.add(result.frame)
        with writing(self._path):
            self._fill(result.frame.index)  # frames that were lost on the way here have no gap
            self._frames.add(result.detections)

    def _fill(self, index: int) -> None:
        """Marks all frames before ``index`` that have not come as not processed."""
        assert self._frames is not None
        while self._frames.count < index:
            self._frames.add(None)

    def end(self, summary: RunSummary) -> None:
        """Completes the file."""
        if self._frames is not None:
            self._frames.fps = self._rate.fps
        self._ended = True
        self._files.close()

    def close(self) -> None:
        """Removes an incomplete file."""
        if not self._ended:
            with contextlib.suppress(_IncompleteDetections), self._files:
                raise _IncompleteDetections


class TubeTally(Sink):
    """Counts tubes and gaps, and keeps the best tubes.

    Attributes:
        tubes: Number of tubes.
        gaps: Number of gaps in the stream.
        reconnects: Number of gaps at which the source had been lost.
        missed: Number of frames dropped because they came too fast.
        summary: Summary of the run; None until it is over.
    """

    def __init__(self, keep: int = 100) -> None:
        self._keep = keep
        self._best: list[tuple[float, int, int, int, int, str]] = []
        self._classes: tuple[str, ...] = ()
        self.tubes = 0
        self.gaps = 0
        self.reconnects = 0
        self.missed = 0
        self.summary: RunSummary | None = None
        self._rate = MeasuredRate(1.0)

    @property
    def source_fps(self) -> float:
        """Frames per second by the times of the frames; a camera may be slower than it declares."""
        return self._rate.fps

    def start(self, info: RunInfo) -> None:
        """Stores the names of the classes."""
        self._classes, self._rate = info.classes, MeasuredRate(info.fps)

    def frame(self, result: FrameResult) -> None:
        """Measures the rate of the source."""
        self._rate.add(result.frame)

    def bundle(self, change: BundleChange) -> None:
        """Stores the names of the bundle's classes."""
        self._classes = change.classes

    def gap(self, gap: Gap) -> None:
        """Counts a gap."""
        self.gaps += not gap.intended
        self.reconnects += gap.reason == "reconnect"
        self.missed += gap.frames if gap.reason == "dropped" else 0

    def tube(self, tube: Tube) -> None:
        """Counts a tube."""
        self.tubes += 1
        name = self._classes[tube.label]
        item = (tube.score, -tube.id, tube.label, tube.start, tube.end, name)
        if len(self._best) < self._keep:
            heapq.heappush(self._best, item)
        else:
            heapq.heappushpop(self._best, item)

    def end(self, summary: RunSummary) -> None:
        """Stores the summary."""
        self.summary = summary

    def best(self) -> list[dict[str, object]]:
        """Returns the best tubes, best first: id, class index and name, score, start and end."""
        return [
            {
                "id": -born,
                "class": label,
                "name": name,
                "score": round(score, 5),
                "start": start,
                "end": end,
            }
            for score, born, label, start, end, name in sorted(self._best, reverse=True)
        ]


class _IncompleteDetections(Exception):
    pass
