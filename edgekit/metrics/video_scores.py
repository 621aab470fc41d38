"""Scores one video, so that many can be scored side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.linking.confirmation import ConfirmedLinker
from edgekit.linking.paths import rank_paths
from edgekit.linking.published import TubeLinker
from edgekit.linking.tracker import OnlineLinker
from edgekit.linking.trimming import trim
from edgekit.metrics.detections import StoredVideo
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.frame_map import FrameMatches, match_frames
from edgekit.metrics.protocols import Protocol
from edgekit.metrics.video_map import TubeMatches, match_tubes
from edgekit.runtime.selection import clamp_boxes
from edgekit.runtime.types import Array, Detections, Tube

if TYPE_CHECKING:
    from edgekit.metrics.analysis.video import VideoAnalysis

__all__ = ["VideoScores", "score_video"]

_OFFSET = 1.0  # All published arithmetic uses 1-based pixels.


@dataclass(frozen=True, slots=True, eq=False)
class VideoScores:
    """Contribution of one video to the figures of an evaluation.

    Attributes:
        name: Name of the video.
        length: Number of frames.
        fps: Frames per second by which the tubes are linked; None if the linker counts frames.
        frames: Boxes that count for frame-AP.
        tubes: Tubes that count for video-AP.
        final: Final tubes, in 0-based pixels of the video.
        truth: Annotated tubes, in 0-based pixels of the video.
        analysis: What is right and wrong in the video; None if that was not asked for.
    """

    name: str
    length: int
    fps: float | None
    frames: FrameMatches
    tubes: TubeMatches
    final: list[Tube]
    truth: list[TruthTube]
    analysis: VideoAnalysis | None = None


def score_video(
    stored: StoredVideo,
    *,
    classes: int,
    rules: Protocol,
    annotated_only: bool,
    new_linker: Callable[..., ConfirmedLinker],
    analyse: bool = False,
) -> VideoScores:
    """Links the detections of a video and matches them with the ground truth.

    Args:
        stored: Detections and ground truth.
        classes: Number of classes.
        rules: Rules of the protocol.
        annotated_only: Whether boxes in frames without an annotated box are ignored.
        new_linker: Function that makes a linker for the ``frame_size`` that it is given.
        analyse: Whether to say what is right and wrong in the video too.

    Raises:
        AnnotationError: The detections cannot be read, or are wrong.
    """
    video = stored.load()
    size, scale = _size(video.truth, rules)
    frames = _prepare(FrameDetections.of(video.detections, classes), scale, size, rules.pixel)
    truth = _truth(video.truth, scale)
    linker = new_linker(frame_size=size).linker
    tubes = _tubes(frames, classes, linker)
    analysis = None
    if analyse:
        from edgekit.metrics.analysis.video import analyse_video

        analysis = analyse_video(
            video.truth.name,
            frames,
            tubes,
            truth,
            classes,
            new_linker(frame_size=size),
            size=size,
            growth=rules.pixel,
            annotated_only=annotated_only,
        )
    return VideoScores(
        video.truth.name,
        video.truth.frames,
        frames.fps if isinstance(linker, OnlineLinker) else None,
        match_frames(
            frames,
            truth,
            classes,
            any_class=rules.any_class,
            growth=rules.pixel,
            annotated_only=annotated_only,
        ),
        match_tubes(tubes, truth, classes, growth=rules.pixel),
        [replace(tube, boxes=(tube.boxes - _OFFSET) / scale) for tube in tubes],
        video.truth.tubes,
        analysis,
    )


def _size(truth: VideoTruth, rules: Protocol) -> tuple[tuple[int, int], Array]:
    """Returns the size in which a video is scored, and by what its boxes are scaled to it, (4,)."""
    own = (truth.width, truth.height)
    size = rules.frame_size or own
    return size, np.array([*size, *size]) / np.array([*own, *own])


def _prepare(
    found: FrameDetections, scale: Array, size: tuple[int, int], pixel: float
) -> FrameDetections:
    limit = (size[0] - pixel, size[1] - pixel)
    boxes = clamp_boxes(np.asarray(found.boxes, np.float64) * scale, limit, offset=_OFFSET)
    return FrameDetections(boxes, np.asarray(found.scores, np.float64), found.counts, found.fps)


def _truth(truth: VideoTruth, scale: Array) -> list[TruthTube]:
    return [replace(tube, boxes=tube.boxes * scale + _OFFSET) for tube in truth.tubes]


def _tubes(frames: FrameDetections, classes: int, linker: OnlineLinker | TubeLinker) -> list[Tube]:
    """Returns the final tubes of a video; a published linker's are in class and published order."""
    if isinstance(linker, OnlineLinker):
        closed = [
            linker.skip(1) if found is None else linker.advance(found, index / frames.fps)
            for index, found in enumerate(frames)
        ]
        return [tube for tubes in closed for tube in tubes] + linker.finish()
    # The published linkers have no notion of an unprocessed frame.
    seen = (Detections.empty(classes) if found is None else found for found in frames)
    dead = [path for found in seen for path in linker.advance(found)]
    live = linker.finish()
    paths = [
        path
        for label in range(classes)
        for path in rank_paths(
            [path for path in live if path.label == label],
            [path for path in dead if path.label == label],
        )
    ]
    return trim(paths)
