"""A bundle on a board that is too slow for its camera: how accurate it is, and on how old frames.

The network is kept busy for several frame intervals after each frame; everything else is what
``edgekit run`` does with a camera. How accurate it is then is measured in simulated time, so that
the figures are the same on every machine; how old the frames are, in real time.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from edgekit.benchmarks.report import LoadAccuracy, LoadPoint
from edgekit.detector import Detector
from edgekit.evaluation import in_classes_of
from edgekit.media import open_source
from edgekit.media.sink import Sink
from edgekit.media.source import Source
from edgekit.metrics.annotations import Truth, VideoTruth
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.evaluate import EvalResult, evaluate
from edgekit.runtime.linkers import make_linker
from edgekit.runtime.pipeline import Pipeline
from edgekit.runtime.results import FrameResult, Gap
from edgekit.runtime.types import Array, Detections, Frame

__all__ = [
    "EVERY",
    "accuracy_under_load",
    "ages_under_load",
    "detect_under_load",
    "measure_under_load",
]

EVERY = (1, 2, 3, 5, 8)
"""The board takes one of so many frames."""

_LINK = "edgekit"
_SECONDS = 4.0
"""Of footage that are played for the age of frames."""


class _Clock(Protocol):
    """Time in frame intervals of a source; frame 0 is there at 0."""

    def wait_for(self, frame: int) -> float | None:
        """Called by the source's thread: waits until a frame is there; when it was taken."""

    @contextmanager
    def busy(self, intervals: int) -> Iterator[None]:
        """The network is busy for so long from the block's beginning on."""

    def end(self) -> None:
        """No frame is asked for any more."""


class _SimulatedClock:
    """Passes only while the network is busy, and waits until what came meanwhile has been read."""

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
            # Who asks for the next frame has passed on those before it.
            self._changed.wait_for(lambda: self._asked > self._now or self._ended)

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class _RealClock:
    """Passes as time does."""

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
        # One interval is what a network takes that keeps up: it is not held up.
        if intervals > 1:
            self._ended.wait(max(0.0, begin + intervals * self._interval - time.monotonic()))

    def end(self) -> None:
        self._ended.set()


class _Camera(Source):
    """Gives the frames of a file when they are due, as a camera does."""

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
            if frame is None:  # also where it fails: else the network would be busy for ever
                self._clock.end()
        if frame is None:
            return None
        self.position = frame.index + 1
        return replace(frame, taken=taken)

    def close(self) -> None:
        self._clock.end()


class _BusyDetector:
    """A detector whose network takes longer. Everything else of it is as it was."""

    def __init__(self, detector: Detector, clock: _Clock, intervals: int) -> None:
        self._detector = detector
        self._clock = clock
        self._intervals = intervals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)

    def infer(self, inputs: dict[str, Array]) -> Mapping[str, Array]:
        with self._clock.busy(self._intervals):
            return self._detector.infer(inputs)


class _Found(Sink):
    """Keeps the detections of each frame, None where it was not taken; and the frames' ages."""

    def __init__(self) -> None:
        self.detections: list[Detections | None] = []
        self.ages: list[float] = []

    def gap(self, gap: Gap) -> None:
        self.detections += [None] * gap.frames

    def frame(self, result: FrameResult) -> None:
        self.detections.append(result.detections)
        self.ages.append(result.age or 0.0)


def measure_under_load(detector: Detector, truth: Truth, footage: str) -> list[LoadPoint]:
    """What a bundle does where the board takes one of ``EVERY`` frames.

    Args:
        detector: Open; stays so.
        truth: Annotated videos, each with its path.
        footage: A video that is played in real time, for the age of frames.

    Raises:
        AnnotationError: No action is annotated, or one of a class that the bundle does not know.
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
    """The accuracy for each of ``EVERY``, in simulated time.

    Args:
        detector: Open; stays so.
        truth: Annotated videos, each with its path.

    Raises:
        AnnotationError: No action is annotated, or one of a class that the bundle does not know.
        MediaError: A video cannot be read.
    """
    truth = in_classes_of(detector.classes, truth)
    full: list[list[Detections | None]] = []
    for every in EVERY:
        found = [detect_under_load(detector, video, every) for video in truth.videos]
        full = full or found
        same = [list(map(_if_taken, *both)) for both in zip(full, found, strict=True)]
        judged, wanted = (_judge(detector, truth, frames) for frames in (found, same))
        taken = sum(one is not None for frames in found for one in frames)
        yield LoadAccuracy(
            every=every,
            frames=judged.frames,
            taken=taken,
            frame_map=judged.frame_map,
            frame_map_full=wanted.frame_map,
            video_map=judged.video_map,
        )


def _if_taken(frame: Detections | None, taken: Detections | None) -> Detections | None:
    return None if taken is None else frame


def _judge(
    detector: Detector, truth: Truth, frames: Sequence[Sequence[Detections | None]]
) -> EvalResult:
    videos = list(map(SavedVideo, truth.videos, frames))
    return evaluate(SavedDetections(list(detector.classes), videos), link=_LINK)


def detect_under_load(detector: Detector, video: VideoTruth, every: int) -> list[Detections | None]:
    """The detections of a video's frames as a live run has them; None where one is not taken.

    Args:
        detector: Open; stays so.
        video: With its path.
        every: The network is busy for so many frame intervals after each frame, in simulated time.
    """
    assert video.path is not None
    clock = _SimulatedClock()
    return _play(detector, video.path, clock, every).detections


def ages_under_load(detector: Detector, footage: str, every: int) -> list[float]:
    """Milliseconds from the taking of each frame to its inference, in real time.

    Args:
        detector: Open; stays so.
        footage: The video whose first seconds are played.
        every: The network is busy for so many frame intervals at least after each frame.
    """
    with open_source(footage) as source:
        fps = source.fps
    return _play(detector, footage, _RealClock(fps), every, seconds=_SECONDS).ages


def _play(
    detector: Detector, path: str | Path, clock: _Clock, every: int, *, seconds: float | None = None
) -> _Found:
    found = _Found()
    with open_source(path) as source, _Camera(source, clock) as camera:
        Pipeline(
            camera,
            _BusyDetector(detector.sibling(), clock, every),
            make_linker(_LINK, len(detector.classes)),
            [found],
            duration=seconds,
            # In simulated time nothing happens while the network is busy but what came meanwhile.
            overlap=isinstance(clock, _RealClock),
        ).run()
    return found
