"""Scores saved detections: selects boxes, links and trims tubes, and averages precision.

Two protocols share all algorithms and thresholds:

``published``
    Reproduces the evaluation of KORSAL and ROAD to the last digit. Every video is scaled to 320x240
    pixels. A found box ends at the last pixel and grows by one before it is compared. Classes
    without ground truth count as 0. In a frame with several annotated classes, a box may match one
    of another class (an oversight of the published code).
``edgekit``
    Videos keep their size and boxes are used unchanged. Means are taken over the classes with
    ground truth, and a box only matches its own class.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from edgekit._parameters import parameter
from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.errors import AnnotationError, UsageError
from edgekit.linking.confirmation import ConfirmedLinker
from edgekit.linking.paths import rank_paths
from edgekit.linking.published import TubeLinker
from edgekit.linking.registry import make_linker
from edgekit.linking.tracker import OnlineLinker
from edgekit.linking.trimming import trim
from edgekit.metrics.detections import StoredDetections, StoredVideo
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.frame_map import FrameMatches, frame_average_precision, match_frames
from edgekit.metrics.protocols import PROTOCOLS, Protocol
from edgekit.metrics.video_map import (
    TubeMatches,
    match_tubes,
    mean_overlap,
    video_accuracy,
    video_average_precision,
)
from edgekit.runtime.selection import clamp_boxes
from edgekit.runtime.types import Array, Detections, Tube

__all__ = ["evaluate"]

_OFFSET = 1.0  # All published arithmetic uses 1-based pixels.


# Long: most of it documents the arguments.
def evaluate(
    saved: StoredDetections,
    *,
    link: str | None = None,
    cost: str = "score",
    max_misses: int | None = None,
    max_gap: float | None = None,
    min_length: int = 5,
    delay: int = 0,
    delay_seconds: float | None = None,
    protocol: str = "edgekit",
    frames: str = "all",
    executor: Executor | None = None,
) -> EvalResult:
    """Links and trims the detections of a dataset, and scores them.

    Args:
        saved: Detections and ground truth of every video.
        link: Name of the linker, one of ``edgekit.linking.choices.LINKS``. None stands for
            ``edgekit``, and for ``road`` under the published protocol.
        cost: Name of the linking cost, one of ``edgekit.linking.choices.COSTS``.
        max_misses: Number of consecutive frames without a detection after which a path ends; None
            uses the linker's default.
        max_gap: Seconds without a detection after which a tube of ``edgekit`` ends; replaces
            ``max_misses``.
        min_length: Number of entries that a path must exceed to be kept.
        delay: Number of frames after which ``edgekit`` no longer refines a box.
        delay_seconds: Seconds after which ``edgekit`` no longer refines a box; replaces ``delay``.
        protocol: Name of the protocol, one of ``PROTOCOLS``.
        frames: Frames whose boxes count for frame-AP, one of ``FRAMES``.
        executor: Executor that processes the videos; by default they run one after the other here.
            The result does not depend on it.

    Raises:
        UsageError: An option has a value that is not possible.
        AnnotationError: There is no ground truth to compare with.
    """
    rules, classes = _rules(protocol), len(saved.classes)
    _check_annotated(saved)
    new_linker = partial(
        make_linker,
        link or rules.link,
        classes,
        cost=cost,
        max_misses=max_misses,
        max_gap=max_gap,
        min_length=min_length,
        delay=delay,
        delay_seconds=delay_seconds,
    )
    new_linker()  # reports invalid options early
    begin = time.perf_counter()
    work = partial(
        _judge,
        classes=classes,
        rules=rules,
        annotated_only=frames == "annotated",
        new_linker=new_linker,
    )
    judged = list((executor.map if executor else map)(work, saved.videos))
    result = _result(saved.classes, judged, rules, link=link or rules.link, protocol=protocol)
    return replace(result, seconds=time.perf_counter() - begin)


def _result(
    classes: list[str], judged: Sequence[_Judged], rules: Protocol, *, link: str, protocol: str
) -> EvalResult:
    """Averages over all videos."""
    count = len(classes)
    frame_ap = frame_average_precision([video.frames for video in judged], count)
    matches = [video.tubes for video in judged]
    video_ap = video_average_precision(matches, count)
    if rules.all_classes:
        frame_ap, video_ap = np.nan_to_num(frame_ap), np.nan_to_num(video_ap)
    return EvalResult(
        classes=classes,
        frame_ap=frame_ap,
        video_ap=video_ap,
        mean_overlap=mean_overlap(matches, count),
        video_accuracy=video_accuracy(matches),
        tubes={video.name: video.final for video in judged},
        frames=sum(video.length for video in judged),
        link=link,
        protocol=protocol,
        seconds=0.0,
    )


def _rules(protocol: str) -> Protocol:
    if protocol not in PROTOCOLS:
        raise UsageError(
            f"Expected {parameter('protocol')} to be one of {', '.join(PROTOCOLS)}; found "
            f"{protocol!r}."
        )
    return PROTOCOLS[protocol]


def _check_annotated(saved: StoredDetections) -> None:
    if not any(video.annotated for video in saved.videos):
        for video in saved.videos:
            video.load()  # a file that is wrong is the better reason
        raise AnnotationError(
            "None of the videos has an annotated tube, so there is nothing to compare with.",
            hint="Detections that 'edgekit run' saved contain no annotations. Evaluate a "
            f"bundle instead: edgekit eval BUNDLE with {parameter('dataset')} and "
            f"{parameter('root')}.",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    name: str
    length: int
    frames: FrameMatches
    tubes: TubeMatches
    final: list[Tube]


def _judge(
    stored: StoredVideo,
    *,
    classes: int,
    rules: Protocol,
    annotated_only: bool,
    new_linker: Callable[..., ConfirmedLinker],
) -> _Judged:
    """Scores one video: links its detections and matches them with the ground truth."""
    video = stored.load()
    own = (video.truth.width, video.truth.height)
    size = rules.frame_size or own
    scale = np.array([*size, *size]) / np.array([*own, *own])
    limit = (size[0] - rules.pixel, size[1] - rules.pixel)
    frames = _prepare(FrameDetections.of(video.detections, classes), scale, limit)
    truth = _truth(video.truth, scale)
    tubes = _tubes(frames, classes, new_linker(frame_size=size).linker)
    return _Judged(
        video.truth.name,
        video.truth.frames,
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
    )


def _prepare(found: FrameDetections, scale: Array, limit: tuple[float, float]) -> FrameDetections:
    boxes = clamp_boxes(np.asarray(found.boxes, np.float64) * scale, limit, offset=_OFFSET)
    return FrameDetections(boxes, np.asarray(found.scores, np.float64), found.counts)


def _truth(truth: VideoTruth, scale: Array) -> list[TruthTube]:
    return [replace(tube, boxes=tube.boxes * scale + _OFFSET) for tube in truth.tubes]


def _tubes(frames: FrameDetections, classes: int, linker: OnlineLinker | TubeLinker) -> list[Tube]:
    """Returns the final tubes of a video; a published linker's are in class and published order."""
    if isinstance(linker, OnlineLinker):
        closed = [linker.skip(1) if found is None else linker.advance(found) for found in frames]
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
