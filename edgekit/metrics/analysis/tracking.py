"""Tracking measures of tubes: HOTA, IDF1 and MOTA, computed by TrackEval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.errors import MissingDependencyError
from edgekit.metrics.analysis.curves import working_point
from edgekit.metrics.eval_result import EvalResult
from edgekit.metrics.geometry import to_xywh
from edgekit.metrics.video_map import THRESHOLDS
from edgekit.metrics.video_scores import VideoScores
from edgekit.runtime.iou import xywh_iou
from edgekit.runtime.types import Array, Tube

__all__ = ["TrackingMeasures", "check_installed", "tracking_measures"]

_HALF = THRESHOLDS.index(0.5)

_Values = Mapping[str, Array]
"""Result of a metric of TrackEval: numbers and arrays by name."""


class _Metric(Protocol):
    """A metric of TrackEval."""

    def eval_sequence(self, data: Mapping[str, object]) -> _Values:
        """Returns the values of one video."""

    def combine_sequences(self, all_res: Mapping[str, _Values]) -> _Values:
        """Returns the values of all videos together."""


@dataclass(frozen=True, slots=True)
class TrackingMeasures:
    """Quality of tubes as tracks of actors, as means over the annotated classes.

    Attributes:
        hota: HOTA, 0 to 1, mean over localization thresholds 0.05 to 0.95.
        det_a: Its part of detection, DetA, 0 to 1.
        ass_a: Its part of association, AssA, 0 to 1.
        idf1: IDF1 at IoU 0.5, 0 to 1.
        mota: MOTA at IoU 0.5, at most 1; negative if there are more errors than annotated boxes.
        id_switches: Number of identity switches, in all classes.
    """

    hota: float
    det_a: float
    ass_a: float
    idf1: float
    mota: float
    id_switches: int


def check_installed() -> None:
    """Raises unless TrackEval is installed.

    Raises:
        MissingDependencyError: It is not.
    """
    MissingDependencyError.unless("trackeval", "tracking", "Tracking measures")


def tracking_measures(result: EvalResult) -> TrackingMeasures:
    """Returns the tracking measures of an evaluation's tubes.

    Each annotated tube is a track, and each class is evaluated alone. Tracking measures know no
    scores, so only tubes count whose score is at least that where the class's F1 of tubes, at an
    overlap of 0.5, is highest.

    Raises:
        MissingDependencyError: TrackEval is not installed.
    """
    check_installed()
    from trackeval.metrics import CLEAR, HOTA, Identity

    quiet = {"PRINT_CONFIG": False}
    metrics: tuple[_Metric, ...] = (HOTA(), Identity(quiet), CLEAR(quiet))
    annotated = np.flatnonzero(sum(video.tubes.total for video in result.videos)).tolist()
    classes = [_of_class(metrics, result.videos, label) for label in annotated]
    hota, identity, clear = zip(*classes, strict=True)
    return TrackingMeasures(
        hota=_mean(hota, "HOTA"),
        det_a=_mean(hota, "DetA"),
        ass_a=_mean(hota, "AssA"),
        idf1=_mean(identity, "IDF1"),
        mota=_mean(clear, "MOTA"),
        id_switches=int(sum(values["IDSW"] for values in clear)),
    )


def _mean(classes: Sequence[_Values], field: str) -> float:
    return float(np.mean([np.mean(values[field]) for values in classes]))


def _of_class(
    metrics: Sequence[_Metric], videos: Sequence[VideoScores], label: int
) -> list[_Values]:
    """Returns what each metric says of a class in all videos."""
    least = _least_score(videos, label)
    found: list[dict[str, _Values]] = [{} for _ in metrics]
    for video in videos:
        truth = [tube for tube in video.truth if tube.label == label]
        tubes = [tube for tube in video.final if tube.label == label and tube.score >= least]
        if not truth and not tubes:
            continue  # it adds nothing, and costs as much as any
        data = _sequence(truth, tubes, video.length)
        for values, metric in zip(found, metrics, strict=True):
            values[video.name] = metric.eval_sequence(data)
    return [m.combine_sequences(values) for m, values in zip(metrics, found, strict=True)]


def _least_score(videos: Sequence[VideoScores], label: int) -> float:
    rows = [(video.tubes, video.tubes.labels == label) for video in videos]
    return working_point(
        np.concatenate([tubes.scores[own] for tubes, own in rows]),
        np.concatenate([tubes.overlaps[_HALF, own] > 0 for tubes, own in rows]),
        sum(int(tubes.total[label]) for tubes, _ in rows),
    ).score


def _sequence(truth: Sequence[TruthTube], tubes: Sequence[Tube], length: int) -> dict[str, object]:
    """Returns a video as TrackEval's metrics take it: identities and overlaps of each frame."""
    length = max([length, *(tube.end + 1 for tube in truth), *(tube.end + 1 for tube in tubes)])
    ours, theirs = (_boxes_of_frames(side, length) for side in (truth, tubes))
    return {
        "num_timesteps": length,
        "num_gt_ids": len(truth),
        "num_tracker_ids": len(tubes),
        "num_gt_dets": sum(len(tube.boxes) for tube in truth),
        "num_tracker_dets": sum(len(tube.boxes) for tube in tubes),
        "gt_ids": [ids for ids, _ in ours],
        "tracker_ids": [ids for ids, _ in theirs],
        "similarity_scores": [
            xywh_iou(a[:, None], b[None]) for (_, a), (_, b) in zip(ours, theirs, strict=True)
        ],
    }


def _boxes_of_frames(
    tubes: Sequence[TruthTube] | Sequence[Tube], length: int
) -> list[tuple[Array, Array]]:
    """Returns numbers and boxes ``[x, y, w, h]`` of the tubes in each frame."""
    lengths = np.array([len(tube.boxes) for tube in tubes], np.intp)
    numbers = np.repeat(np.arange(len(tubes)), lengths)
    frames = np.concatenate(
        [np.zeros(0, np.intp), *(np.arange(tube.start, tube.end + 1) for tube in tubes)]
    )
    boxes = to_xywh(np.concatenate([np.zeros((0, 4)), *(tube.boxes for tube in tubes)]))
    order = np.argsort(frames, kind="stable")
    ends = np.searchsorted(frames[order], np.arange(1, length))
    split = np.split(order, ends)
    return [(numbers[rows], boxes[rows]) for rows in split]
