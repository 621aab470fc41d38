"""Collects the detections of a bundle in annotated videos; ends with the first that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgekit.bundle import load_bundle
from edgekit.datasets.annotations import Truth, VideoTruth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.datasets.video_facts import refuse_other_frames, refuse_other_size
from edgekit.detector import Detector
from edgekit.linking.registry import make_linker
from edgekit.linking.tracker import RATE
from edgekit.media import open_source
from edgekit.media.sinks.sink import Sink
from edgekit.metrics.detections import SavedDetections, SavedVideo
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.results import FrameResult, RunInfo
from edgekit.runtime.frame_rate import MeasuredRate
from edgekit.runtime.types import Detections
from edgekit.targets.base import SessionOptions

_LOG = logging.getLogger(__name__)

__all__ = ["DetectionsCollector", "detect_videos", "video_detector"]


def detect_videos(
    bundle: Path,
    truth: Truth,
    *,
    options: SessionOptions | None = None,
    on_video: Callable[[], None] = lambda: None,
) -> SavedDetections:
    """Returns a bundle's detections on every video of a dataset, found as in ``edgekit run``.

    Args:
        bundle: Folder of the bundle.
        truth: Annotated videos, each with its path.
        options: Options for the runtime session.
        on_video: Function called after each video.

    Returns:
        The detections with the ground truth, in the bundle's classes.

    Raises:
        AnnotationError: The dataset has classes that the bundle does not know, or the frame count
            of a video differs from its annotation.
        MediaError: A video cannot be read.
    """
    classes = load_bundle(bundle).manifest.classes
    truth = in_classes_of(classes, truth)
    work = video_detector(bundle, options, None, alone=True)
    videos = []
    for video in truth.videos:
        detections = work(video)
        videos.append(SavedVideo(video, detections))
        _LOG.info("The detector has processed %s: %d frames.", video.name, len(detections))
        on_video()
    return SavedDetections(list(classes), videos)


def video_detector(
    bundle: Path, options: SessionOptions | None, top_k: int | None, *, alone: bool
) -> Callable[[VideoTruth], FrameDetections]:
    """Returns the function that runs a bundle on a video; other processes may call it.

    Args:
        bundle: Folder of the bundle.
        options: Options for the runtime session.
        top_k: Largest number of peaks per frame; by default the bundle's own value.
        alone: Whether one video at a time is processed. Several of its frames are then in the
            network at once, unless the options say otherwise.
    """
    options = options or SessionOptions()
    if options.hint is None and alone:
        options = replace(options, hint="throughput")
    return partial(_detect_video, bundle, options, top_k)


def _detect_video(
    bundle: Path, options: SessionOptions, top_k: int | None, video: VideoTruth
) -> FrameDetections:
    with (
        Detector(bundle, options=options, top_k=top_k) as detector,
        open_source(video.require_path()) as source,
    ):
        classes, collector = len(detector.classes), DetectionsCollector(len(detector.classes))
        linker = make_linker("edgekit", classes)
        Pipeline(source, detector, linker, [collector], overlap=True, lanes=detector.lanes).run()
    refuse_other_frames(video, len(collector.found))
    refuse_other_size(video, collector.size)
    return collector.detections()


class DetectionsCollector(Sink):
    """Keeps the detections of each frame; a missing frame has none.

    Args:
        classes: Number of classes.

    Attributes:
        found: Detections by frame index.
        size: Height and width of the first frame in pixels; None before it.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.found: list[Detections] = []
        self.size: tuple[int, int] | None = None
        self._rate = MeasuredRate(RATE)

    def start(self, info: RunInfo) -> None:
        """Stores the rate that the source declares."""
        self._rate = MeasuredRate(info.fps)

    def detections(self) -> FrameDetections:
        """Returns the detections of the run, with the frame rate of its source."""
        return FrameDetections.of(self.found, self._classes, self._rate.fps)

    def frame(self, result: FrameResult) -> None:
        """Keeps a frame's detections."""
        if self.size is None:
            self.size = result.frame.image.shape[0], result.frame.image.shape[1]
        self._rate.add(result.frame)
        while len(self.found) < result.frame.index:
            self.found.append(Detections.empty(self._classes))
        self.found.append(result.detections)
