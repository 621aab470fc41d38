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
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

import numpy as np

from edgekit._checks import check_choice
from edgekit._parameters import parameter
from edgekit.errors import AnnotationError
from edgekit.linking.registry import make_linker
from edgekit.metrics.detections import StoredDetections
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.frame_map import frame_average_precision
from edgekit.metrics.protocols import PROTOCOLS, Protocol
from edgekit.metrics.video_map import mean_overlap, video_accuracy, video_average_precision
from edgekit.metrics.video_scores import VideoScores, score_video

__all__ = ["evaluate"]


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
    analyse: bool = False,
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
        analyse: Whether ``analysis`` of the result is set. In it a box may only match one of its
            class, under every protocol.
        executor: Executor that processes the videos; by default they run one after the other here.
            The result does not depend on it.

    Raises:
        UsageError: An option has a value that is not possible.
        AnnotationError: There is no ground truth to compare with, or no frame with ground truth
            was processed.
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
        score_video,
        classes=classes,
        rules=rules,
        annotated_only=frames == "annotated",
        new_linker=new_linker,
        analyse=analyse,
    )
    scores = list((executor.map if executor else map)(work, saved.videos))
    _check_processed(scores)
    result = _result(saved.classes, scores, rules, link=link or rules.link, protocol=protocol)
    if analyse:
        from edgekit.metrics.analysis.summary import summarise

        videos = [video.analysis for video in scores if video.analysis is not None]
        result = replace(result, analysis=summarise(saved.classes, videos))
    return replace(result, seconds=time.perf_counter() - begin)


def _result(
    classes: list[str], scores: Sequence[VideoScores], rules: Protocol, *, link: str, protocol: str
) -> EvalResult:
    """Averages over all videos."""
    count = len(classes)
    frame_ap = frame_average_precision([video.frames for video in scores], count)
    matches = [video.tubes for video in scores]
    video_ap = video_average_precision(matches, count)
    if rules.all_classes:
        frame_ap, video_ap = np.nan_to_num(frame_ap), np.nan_to_num(video_ap)
    return EvalResult(
        classes=classes,
        frame_ap=frame_ap,
        video_ap=video_ap,
        mean_overlap=mean_overlap(matches, count),
        video_accuracy=video_accuracy(matches),
        tubes={video.name: video.final for video in scores},
        frames=sum(video.length for video in scores),
        link=link,
        protocol=protocol,
        seconds=0.0,
        videos=scores,
    )


def _rules(protocol: str) -> Protocol:
    check_choice("protocol", protocol, PROTOCOLS)
    return PROTOCOLS[protocol]


def _check_processed(scores: Sequence[VideoScores]) -> None:
    if not any(video.frames.total.any() for video in scores):
        frames = sum(len(tube.boxes) for video in scores for tube in video.truth)
        raise AnnotationError(
            f"None of the {frames} annotated boxes is in a frame that was processed, so there is "
            "no frame-mAP: in the saved detections, these frames are null.",
            hint="Process these frames too: edgekit eval BUNDLE detects actors in all frames, "
            f"and saves them with {parameter('save_detections', 'FILE')}.",
        )


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
