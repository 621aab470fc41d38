"""Compares two evaluations of the same videos, with paired bootstrap intervals."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose

import numpy as np

from edgekit.datasets.annotations import Truth, TruthTube
from edgekit.errors import AnnotationError, UsageError
from edgekit.metrics.analysis.bootstrap import frame_maps, video_maps
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.video_map import THRESHOLDS
from edgekit.metrics.video_scores import VideoScores
from edgekit.runtime.types import Array

__all__ = [
    "FEW_VIDEOS",
    "Comparison",
    "Difference",
    "compare",
    "refuse_other_videos",
    "verdicts",
]

FEW_VIDEOS = 20
"""Number of videos below which the intervals are too narrow, and a report should say so."""

_LOG = logging.getLogger(__name__)
_ROUNDS = 1000
_LEVEL = 0.95
_LEAST_VIDEOS = 2
_ROUNDED = 1e-3


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference between two figures, and its 95% interval.

    Attributes:
        value: Figure of this evaluation minus that of the other one.
        low: Lower limit of the interval.
        high: Upper limit of the interval.
    """

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval does not contain 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences between two evaluations of the same videos.

    Attributes:
        videos: Number of videos.
        frame_map: Difference of frame-mAP at "0.5".
        video_map: Difference of video-mAP at "0.2", "0.5", "0.75" and "0.5:0.95".
        other_rates: Number of videos whose tubes are linked at different frame rates on both sides.
    """

    videos: int
    frame_map: dict[str, Difference]
    video_map: dict[str, Difference]
    other_rates: int = 0


def compare(
    this: EvalResult, other: EvalResult, *, seed: int = 0, common: bool = False
) -> Comparison:
    """Returns how far this evaluation is above another one, and how sure that is.

    Videos are drawn at random, with replacement, 1,000 times; both evaluations are scored on the
    same draw. The interval contains the middle 95% of the differences. In each draw the mean is
    taken over the classes that are annotated in it.

    Args:
        this: Evaluation of at least two videos.
        other: Evaluation of the same videos, by the same protocol.
        seed: Seed for drawing videos; equal seeds give equal intervals.
        common: Whether to compare the videos that both have, with a warning if one lacks some: a
            video may have failed in either.

    Raises:
        AnnotationError: The evaluations have other classes, videos or annotations.
        UsageError: There are fewer than two videos.
    """
    if common:
        this, other = _on_common_videos(this, other)
    other = _in_order(this, other)
    count = len(this.videos)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _ROUNDS)
    # The first row is the figures themselves.
    weights = np.concatenate([np.ones((1, count), np.intp), draws])
    every = this.protocol == "published"
    frames, tubes = (
        figures(this, weights, every) - figures(other, weights, every)
        for figures in (frame_maps, video_maps)
    )
    video = {str(at): _difference(tubes[THRESHOLDS.index(at)]) for at in (0.2, 0.5, 0.75)}
    video["0.5:0.95"] = _difference(tubes[1:].mean(axis=0))
    pairs = zip(this.videos, other.videos, strict=True)
    # Saved rates are rounded, and a rate may be measured.
    other_rates = sum(not isclose(a.fps or 1, b.fps or 1, rel_tol=_ROUNDED) for a, b in pairs)
    return Comparison(count, {"0.5": _difference(frames)}, video, other_rates)


def refuse_other_videos(truth: Truth, other: EvalResult) -> None:
    """Raises, before hours of detection, if no evaluation of these videos can be compared.

    Videos that the other evaluation lacks are no reason: they may fail here, as they did there.

    Args:
        truth: Ground truth of the videos to evaluate.
        other: Evaluation to compare with.

    Raises:
        AnnotationError: The evaluation has other classes, videos or annotations.
        UsageError: It has only one video.
    """
    _refuse_other_classes(truth.classes, other)
    ours = {video.name: video for video in truth.videos}
    for video in other.videos:
        if video.name not in ours:
            raise _differ_in_videos(len(ours), len(other.videos), video.name)
        _refuse_other_truth(ours[video.name].frames, ours[video.name].tubes, video)
    _refuse_single(other)


def _on_common_videos(this: EvalResult, other: EvalResult) -> tuple[EvalResult, EvalResult]:
    """Returns both evaluations with the videos that both have, and says how many these are."""
    sides = this.videos, other.videos
    names = {video.name for video in this.videos} & {video.name for video in other.videos}
    if any(len(videos) > len(names) for videos in sides):
        _LOG.warning(
            "The comparison is of the %d videos that have results here and in the file to compare "
            "with: %d have one here, and %d there.", len(names), *map(len, sides),
        )  # fmt: skip
    kept = [[video for video in videos if video.name in names] for videos in sides]
    return replace(this, videos=kept[0]), replace(other, videos=kept[1])


def _in_order(this: EvalResult, other: EvalResult) -> EvalResult:
    """Returns the other evaluation with its videos in the order of this one, if both fit."""
    _refuse_other_classes(this.classes, other)
    ours, theirs = ({video.name: video for video in one.videos} for one in (this, other))
    if ours.keys() != theirs.keys():
        raise _differ_in_videos(len(ours), len(theirs), min(ours.keys() ^ theirs.keys()))
    for name, video in ours.items():
        _refuse_other_truth(video.length, video.truth, theirs[name])
    _refuse_single(other)
    return replace(other, videos=[theirs[name] for name in ours])


def _refuse_other_classes(classes: Sequence[str], other: EvalResult) -> None:
    if list(classes) != other.classes:
        raise _differ("classes", ", ".join(classes), ", ".join(other.classes))


def _refuse_single(other: EvalResult) -> None:
    if len(other.videos) < _LEAST_VIDEOS:
        raise UsageError(
            "A comparison draws videos at random, and needs at least 2; found "
            f"{len(other.videos)}.",
            hint="Save the detections of more videos.",
        )


def _differ_in_videos(ours: int, theirs: int, missing: str) -> AnnotationError:
    error = _differ("videos", str(ours), f"{theirs}, and only one has '{missing}'")
    error.hint = (
        f"{error.hint} Videos that failed are not saved; the same command tries them again."
    )
    return error


def _differ(what: str, ours: str, theirs: str) -> AnnotationError:
    return AnnotationError(
        f"Expected two evaluations of the same videos; their {what} differ: here {ours}; in the "
        f"file to compare with {theirs}.",
        hint="Save both with edgekit eval --save-detections on the same dataset.",
    )


def _refuse_other_truth(length: int, tubes: Sequence[TruthTube], other: VideoScores) -> None:
    if (
        length == other.length
        and len(tubes) == len(other.truth)
        and all(
            (a.label, a.start, a.boxes.shape) == (b.label, b.start, b.boxes.shape)
            # Saved boxes are rounded to four digits.
            and np.allclose(a.boxes, b.boxes, rtol=0, atol=1e-3)
            for a, b in zip(tubes, other.truth, strict=True)
        )
    ):
        return
    one, two = _described(length, tubes), _described(other.length, other.truth)
    raise _differ(
        f"annotations of '{other.name}'", one, two if one != two else "others of that number"
    )


def _described(length: int, tubes: Sequence[TruthTube]) -> str:
    return f"{sum(len(tube.boxes) for tube in tubes)} boxes in {length} frames"


def _difference(values: Array) -> Difference:
    """Returns the first value, and the interval of the others."""
    drawn = values[1:]
    tail = 50 * (1 - _LEVEL)
    low, high = np.nanpercentile(drawn, (tail, 100 - tail)).tolist()
    return Difference(float(values[0]), low, high)


def verdicts(comparison: Comparison, name: str) -> Sequence[str]:
    """Returns one sentence for each difference, and what limits them.

    Args:
        comparison: Comparison with another evaluation.
        name: Name of the other evaluation.
    """
    named = [("frame-mAP", comparison.frame_map), ("video-mAP", comparison.video_map)]
    lines = [
        f"{figure}@{at}: {_sentence(one, name)}"
        for figure, differences in named
        for at, one in differences.items()
    ]
    if comparison.other_rates:
        lines.append(
            f"{comparison.other_rates} of {comparison.videos} videos are linked at another frame "
            f"rate in {name}, which alone can change video-mAP. Detections that an earlier EdgeKit "
            "saved have no rate and are linked as at 25 frames per second; save them again."
        )
    if comparison.videos < FEW_VIDEOS:
        lines.append(
            f"With only {comparison.videos} videos the intervals are too narrow: "
            "a result needs more videos."
        )
    return lines


def _sentence(one: Difference, name: str) -> str:
    interval = f"95% interval {one.low:+.3f} to {one.high:+.3f}"
    if not one.sure:
        return f"no clear difference from {name} ({one.value:+.3f}, {interval}, which contains 0)."
    side = "higher" if one.value > 0 else "lower"
    return f"{side} than {name} by {abs(one.value):.3f} ({interval})."
