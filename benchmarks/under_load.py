"""Measures accuracy, and the age of frames at inference, on a board slower than its camera.

The network is kept busy for several frame intervals after each frame; everything else works as in
``edgekit run`` with a camera. Accuracy is measured in simulated time, so that it is equal on every
machine. The age of frames is measured in real time.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from edgekit.benchmarks.report.report import LoadAccuracy, LoadPoint
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.detector import Detector
from edgekit.linking.registry import make_linker
from edgekit.media import open_source
from edgekit.media.sinks.sink import Sink
from edgekit.media.sources.source import Source
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.evaluate import evaluate
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.results import FrameResult, Gap
from edgekit.runtime.types import Array, Detections, Frame

__all__ = [
    "EVERY",
    "FoundDetections",
    "accuracy_under_load",
    "ages_under_load",
    "detect_under_load",
    "evaluate_found",
    "measure_under_load",
]

EVERY = (1, 2, 3, 5, 8)
"""Intervals of processed frames: the board processes one of this many frames."""

_LINK = "edgekit"
_SECONDS = 4.0
"""Seconds of footage that are played to measure the age of frames."""


class _Clock(Protocol):
    """Time in frame intervals of a source; frame 0 is available at 0."""

    def wait_for(self, frame: int) -> float | None:
        """Waits, in the source's thread, until a frame is available; returns when it was taken."""

    @contextmanager
    def busy(self, intervals: int) -> Iterator[None]:
        """Keeps the network busy for this long from the beginning of the block."""

    def end(self) -> None:
        """Ends the waiting: no more frames are requested."""


class _SimulatedClock:
    """Advances only while the network is busy, and waits until the due frames have been read."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._now = 0
        self._asked = 0
        self._ended = False

    def wait_for(self, frame: int) -> None:
        with self._changed:
            self._asked = frame
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._now >= frame or self._ended)

    @contextmanager
    def busy(self, intervals: int) -> Iterator[None]:
        yield
        with self._changed:
            self._now += intervals
            self._changed.notify_all()
            # A request for the next frame shows that all earlier frames were passed on.
            self._changed.wait_for(lambda: self._asked > self._now or self._ended)

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class _RealClock:
    """Advances in real time."""

    def __init__(self, fps: float) -> None:
        self._interval = 1 / fps
        self._begin: float | None = None
        self._ended = threading.Event()

    def wait_for(self, frame: int) -> float:
        if self._begin is None:
            self._begin = time.monotonic()
        taken = self._begin + frame * self._interval
        self._ended.wait(max(0.0, taken - time.monotonic()))
        return taken

    @contextmanager
    def busy(self, intervals: int) -> Iterator[None]:
        begin = time.monotonic()
        yield
        # A network that keeps up takes one interval, so it needs no delay.
        if intervals > 1:
            self._ended.wait(max(0.0, begin + intervals * self._interval - time.monotonic()))

    def end(self) -> None:
        self._ended.set()


class _PlayedFile(Source):
    """Provides the frames of a file when they are due, as a camera does."""

    live = True

    def __init__(self, source: Source, clock: _Clock) -> None:
        self._source = source
        self._clock = clock
        self.name = source.name
        self.width, self.height = source.width, source.height
        self.fps, self.sample_aspect = source.fps, source.sample_aspect

    def read(self) -> Frame | None:
        taken = self._clock.wait_for(self.position)
        frame = None
        try:
            frame = self._source.read()
        finally:
            if frame is None:  # also after a failure: otherwise the network would be busy forever
                self._clock.end()
        if frame is None:
            return None
        self.position = frame.index + 1
        return replace(frame, taken=taken)

    def close(self) -> None:
        self._clock.end()


class _BusyDetector:
    """A detector with a slower network; everything else is unchanged."""

    def __init__(self, detector: Detector, clock: _Clock, intervals: int) -> None:
        self._detector = detector
        self._clock = clock
        self._intervals = intervals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)

    def infer(self, inputs: dict[str, Array]) -> dict[str, Array]:
        with self._clock.busy(self._intervals):
            return self._detector.infer(inputs)


class FoundDetections(Sink):
    """Keeps the detections of each frame, None for one not processed; and the frames' ages."""

    def __init__(self) -> None:
        self.detections: list[Detections | None] = []
        self.ages: list[float] = []

    def gap(self, gap: Gap) -> None:
        """Notes frames that were not processed."""
        self.detections += [None] * gap.frames

    def frame(self, result: FrameResult) -> None:
        """Keeps a frame's detections and age."""
        self.detections.append(result.detections)
        self.ages.append(result.age or 0.0)


def measure_under_load(detector: Detector, truth: Truth, footage: str) -> list[LoadPoint]:
    """Measures a bundle on boards that process one of ``EVERY`` frames.

    Args:
        detector: Open detector; it stays open.
        truth: Annotated videos, each with its path.
        footage: Video that is played in real time, for the age of frames.

    Raises:
        AnnotationError: No action is annotated, or one has a class that the bundle does not know.
        MediaError: A video cannot be read.
    """
    points = []
    for found in accuracy_under_load(detector, truth):
        ages = ages_under_load(detector, footage, found.every)
        age = {"age_p50": statistics.median(ages), "age_longest": max(ages)}
        point = {
            **msgspec.structs.asdict(found),
            **{name: round(ms, 3) for name, ms in age.items()},
        }
        points.append(LoadPoint(**point))
    return points


def accuracy_under_load(detector: Detector, truth: Truth) -> Iterator[LoadAccuracy]:
    """Yields the accuracy for each of ``EVERY``, in simulated time.

    Args:
        detector: Open detector; it stays open.
        truth: Annotated videos, each with its path.

    Raises:
        AnnotationError: No action is annotated, or one has a class that the bundle does not know.
        MediaError: A video cannot be read.
    """
    truth = in_classes_of(detector.classes, truth)
    full: list[list[Detections | None]] = []
    for every in EVERY:
        found = [detect_under_load(detector, video, every) for video in truth.videos]
        full = full or found
        same = [list(map(_if_taken, *both)) for both in zip(full, found, strict=True)]
        reached, wanted = (evaluate_found(detector, truth, frames) for frames in (found, same))
        taken = sum(one is not None for frames in found for one in frames)
        yield LoadAccuracy(
            every=every,
            frames=reached.frames,
            taken=taken,
            frame_map=reached.frame_map,
            frame_map_full=wanted.frame_map,
            video_map=reached.video_map,
        )


def _if_taken(frame: Detections | None, taken: Detections | None) -> Detections | None:
    return None if taken is None else frame


def evaluate_found(
    detector: Detector, truth: Truth, frames: Sequence[Sequence[Detections | None]]
) -> EvalResult:
    """Scores detections of annotated videos, linked by EdgeKit's own linker.

    Args:
        detector: Detector that found them; it knows the classes.
        truth: Annotated videos, in the classes of the detector.
        frames: Detections of each frame of each video; None for a frame that was not processed.
    """
    videos = list(map(SavedVideo, truth.videos, frames))
    return evaluate(SavedDetections(list(detector.classes), videos), link=_LINK)


def detect_under_load(detector: Detector, video: VideoTruth, every: int) -> list[Detections | None]:
    """Returns the detections of a video's frames as in a live run; None for one not processed.

    Args:
        detector: Open detector; it stays open.
        video: Annotated video, with its path.
        every: Number of frame intervals that the network is busy after each frame, in simulated
            time.
    """
    assert video.path is not None
    clock = _SimulatedClock()
    return _play(detector, video.path, clock, every).detections


def ages_under_load(detector: Detector, footage: str, every: int) -> list[float]:
    """Returns milliseconds from the taking of each frame to its inference, in real time.

    Args:
        detector: Open detector; it stays open.
        footage: Video whose first seconds are played.
        every: Smallest number of frame intervals that the network is busy after each frame.
    """
    with open_source(footage) as source:
        fps = source.fps
    return _play(detector, footage, _RealClock(fps), every, seconds=_SECONDS).ages


def _play(
    detector: Detector, path: str | Path, clock: _Clock, every: int, *, seconds: float | None = None
) -> FoundDetections:
    found = FoundDetections()
    with open_source(path) as source, _PlayedFile(source, clock) as camera:
        Pipeline(
            camera,
            _BusyDetector(detector.sibling(), clock, every),
            make_linker(_LINK, len(detector.classes)),
            [found],
            duration=seconds,
            # In simulated time, only the reading of due frames happens while the network is busy.
            overlap=isinstance(clock, _RealClock),
        ).run()
    return found
