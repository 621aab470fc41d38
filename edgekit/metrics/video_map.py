"""Computes video-AP, the accuracy of whole tubes in space and time, by the published protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.average_precision import average_precision
from edgekit.metrics.geometry import to_xywh, tube_iou
from edgekit.runtime.types import Array, Tube

__all__ = [
    "THRESHOLDS",
    "TubeMatches",
    "choose",
    "match_tubes",
    "mean_overlap",
    "video_accuracy",
    "video_average_precision",
]

THRESHOLDS = (0.2, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Tube overlaps at which video-AP is computed."""


@dataclass(frozen=True, slots=True, eq=False)
class TubeMatches:
    """Scores and overlaps of the tubes of one video; the best tube comes first.

    Attributes:
        labels: Class of each tube, (n,).
        scores: Score of each tube, (n,).
        overlaps: Overlap with the annotated tube that each tube takes at each threshold,
            (len(THRESHOLDS), n); 0 if it takes none.
        total: Number of annotated tubes of each class, (C,).
        correct: Whether the best tube has the class of the last annotated tube; None if there is
            none.
    """

    labels: Array
    scores: Array
    overlaps: Array
    total: Array
    correct: bool | None


def match_tubes(
    tubes: Sequence[Tube], truth: Sequence[TruthTube], classes: int, *, growth: float = 1.0
) -> TubeMatches:
    """Matches the tubes of a video to the annotated ones of their class.

    The best tubes choose first. Each takes the annotated tube that it overlaps most among those
    still free, if the overlap is above the threshold.

    Args:
        tubes: Tubes with boxes in 1-based pixels.
        truth: Annotated tubes in 1-based pixels, corners ``[x, y, x + w, y + h]``.
        classes: Number of classes.
        growth: Number added to all four numbers of the found boxes; 1 in the published code.
    """
    ranked = sorted(tubes, key=lambda tube: -tube.score)
    total = np.zeros(classes, np.intp)
    for annotated in truth:
        total[annotated.label] += 1
    overlap = np.full((len(ranked), len(truth)), -np.inf)
    boxes = [to_xywh(annotated.boxes) for annotated in truth]
    for row, tube in zip(overlap, ranked, strict=True):
        found = to_xywh(tube.boxes)
        for column, annotated in enumerate(truth):
            if annotated.label == tube.label:
                row[column] = tube_iou(
                    annotated.start, boxes[column], tube.start, found, growth=growth
                )
    taken = np.array([_taken(overlap, threshold) for threshold in THRESHOLDS])
    correct = None
    if truth:
        correct = bool(ranked) and ranked[0].label == truth[-1].label
    return TubeMatches(
        np.array([tube.label for tube in ranked], np.intp),
        np.array([tube.score for tube in ranked], np.float64),
        taken.reshape(len(THRESHOLDS), len(ranked)),
        total,
        correct,
    )


def video_average_precision(matches: Sequence[TubeMatches], classes: int) -> Array:
    """Returns the AP of each class over all videos, (len(THRESHOLDS), C); NaN if not annotated."""
    if not matches:
        return np.full((len(THRESHOLDS), classes), np.nan)
    labels, scores, overlaps, total = _joined(matches)
    return np.array(
        [
            [
                average_precision(scores[labels == c], taken[labels == c] > 0, int(total[c]))
                for c in range(classes)
            ]
            for taken in overlaps
        ]
    )


def mean_overlap(matches: Sequence[TubeMatches], classes: int) -> Array:
    """Returns the mean overlap of correct tubes, (len(THRESHOLDS), C), smoothed as published.

    It is 0 for a class without tubes, and 0.1 for a class whose tubes are all wrong.
    """
    if not matches:
        return np.zeros((len(THRESHOLDS), classes))
    labels, _, overlaps, _ = _joined(matches)
    means = np.zeros((len(THRESHOLDS), classes))
    for label in np.unique(labels):
        own = overlaps[:, labels == label]
        means[:, label] = (own.sum(axis=1) + 1e-6) / ((own > 0).sum(axis=1) + 1e-5)
    return means


def video_accuracy(matches: Sequence[TubeMatches]) -> float:
    """Returns the share of the annotated videos whose best tube has the right class."""
    correct = [match.correct for match in matches if match.correct is not None]
    return sum(correct) / len(correct) if correct else float("nan")


def choose(overlap: Array, threshold: float) -> list[int]:
    """Returns the annotated tube that each tube takes; -1 if it takes none.

    Args:
        overlap: Overlap of each tube with each annotated one, (n, T), the best tubes first; -inf
            for a pair that must not match.
        threshold: Overlap that a match must exceed.
    """
    free = overlap.copy()
    chosen = []
    for row in range(len(free)):
        best = int(free[row].argmax()) if free.shape[1] else -1
        if best >= 0 and free[row, best] > threshold:
            free[:, best] = -np.inf
            chosen.append(best)
        else:
            chosen.append(-1)
    return chosen


def _taken(overlap: Array, threshold: float) -> list[float]:
    chosen = choose(overlap, threshold)
    return [
        float(row[best]) if best >= 0 else 0.0 for row, best in zip(overlap, chosen, strict=True)
    ]


def _joined(matches: Sequence[TubeMatches]) -> tuple[Array, Array, Array, Array]:
    labels = np.concatenate([match.labels for match in matches])
    scores = np.concatenate([match.scores for match in matches])
    overlaps = np.concatenate([match.overlaps for match in matches], axis=1)
    return labels, scores, overlaps, np.sum([match.total for match in matches], axis=0)
