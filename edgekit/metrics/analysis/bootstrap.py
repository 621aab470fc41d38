"""Scores an evaluation on videos drawn at random with repetition, for bootstrap intervals."""

from __future__ import annotations

import numpy as np

from edgekit.metrics.eval_result import EvalResult
from edgekit.runtime.types import Array

__all__ = ["frame_maps", "video_maps", "weighted_ap"]

_BLOCK = 1 << 21
"""Largest number of weights that are in memory at once."""


def frame_maps(result: EvalResult, weights: Array, every: bool) -> Array:
    """Returns the frame-mAP of each draw of videos, (R,).

    Args:
        result: Evaluation of V videos.
        weights: How often each video is in each draw, (R, V).
        every: Whether classes without annotations count, as 0.
    """
    parts = [video.frames for video in result.videos]
    labels, scores, hits = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("labels", "scores", "hits")
    )
    video = np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])
    total = np.array([part.total for part in parts])
    return _mean_ap(labels, scores, hits, video, total, weights, every)


def video_maps(result: EvalResult, weights: Array, every: bool) -> Array:
    """Returns the video-mAP of each draw at each of ``THRESHOLDS``, (len(THRESHOLDS), R).

    Args:
        result: Evaluation of V videos.
        weights: How often each video is in each draw, (R, V).
        every: Whether classes without annotations count, as 0.
    """
    parts = [video.tubes for video in result.videos]
    labels, scores = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "scores")
    )
    overlaps = np.concatenate([part.overlaps for part in parts], axis=1)
    video = np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])
    total = np.array([part.total for part in parts])
    return np.array(
        [_mean_ap(labels, scores, taken > 0, video, total, weights, every) for taken in overlaps]
    )


def _mean_ap(
    labels: Array,
    scores: Array,
    hits: Array,
    video: Array,
    total: Array,
    weights: Array,
    every: bool,
) -> Array:
    """Returns the mean AP of each draw, (R,).

    Args:
        labels: Class of each entry, (n,).
        scores: Score of each entry, (n,).
        hits: Whether each entry is correct, (n,) bool.
        video: Number of the video of each entry, (n,).
        total: Annotations of each class in each video, (V, C).
        weights: How often each video is in each draw, (R, V).
        every: Whether classes without annotations count, as 0.
    """
    totals = weights @ total
    average = np.zeros(totals.shape)
    for label in np.flatnonzero(total.any(axis=0)).tolist():
        own = np.flatnonzero(labels == label)
        own = own[np.argsort(-scores[own].astype(np.float32), kind="stable")]
        step = max(_BLOCK // max(len(own), 1), 1)
        for first in range(0, len(weights), step):
            rows = slice(first, first + step)
            average[rows, label] = weighted_ap(
                weights[rows][:, video[own]], hits[own], totals[rows, label]
            )
    counted = np.full(totals.shape, every) | (totals > 0)
    means: Array = np.full(len(weights), np.nan)
    number = counted.sum(axis=1)
    np.divide(average.sum(axis=1, where=counted), number, out=means, where=number > 0)
    return means


def weighted_ap(weights: Array, hits: Array, total: Array) -> Array:
    """Returns what ``average_precision`` gives if each entry is there several times, (R,).

    Args:
        weights: How often each entry is there in each draw, the best entries first, (R, n).
        hits: Whether each entry is correct, (n,) bool.
        total: Number of annotations in each draw, (R,).
    """
    # Recall only grows at a correct entry, whose precision is highest after all of its copies.
    correct = weights[:, hits]
    seen = np.cumsum(weights, axis=1)[:, hits]
    precision = np.cumsum(correct, axis=1) / np.maximum(seen, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area: Array = (correct * envelope).sum(axis=1) / np.maximum(total, 1)
    return area
