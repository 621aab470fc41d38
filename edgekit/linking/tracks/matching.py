"""Matches tracks and detections for EdgeKit's linker, all classes together."""

from __future__ import annotations

import math

import numpy as np

from edgekit.runtime.iou import touching_pairs
from edgekit.runtime.types import Array

__all__ = ["by_distance", "by_overlap", "cosine", "greedy", "padded", "unit"]

LEAST_OVERLAP = 0.1
CLASS_WEIGHT = 1.0
LEVEL_WEIGHT = 0.5
LEAST_GAIN = 0.8
LEAST_COSINE = 0.6
REACH = 0.6
REACH_PER_MISS = 0.12
LARGEST_REACH = 2.0
LARGEST_GROWTH = 0.7
SUPPRESSED = 0.3
TOO_STRONG = math.exp((1 + CLASS_WEIGHT - LEAST_GAIN) / LEVEL_WEIGHT)
"""Ratio of the highest scores above which a pair does not suppress a detection: 11.

Above it even equal boxes of one class would not match, if the cost of the ratio had no limit.
"""

LANES = 8
"""Number of partial sums for class scores."""


def padded(scores: Array) -> Array:
    """Returns scores (n, C) as (n, W) float64 with zeros up to a multiple W of ``LANES``."""
    wide = np.zeros((len(scores), -(-scores.shape[1] // LANES) * LANES))
    wide[:, : scores.shape[1]] = scores
    return wide


def unit(rows: Array) -> Array:
    """Returns padded rows scaled to length 1, (n, W) float32; rows of zeros stay 0."""
    length = np.maximum(np.sqrt(_total(rows * rows)), 1e-9)
    return (rows / length[:, None]).astype(np.float32)


def cosine(first: Array, second: Array) -> Array:
    """Returns the float32 cosine (E,) of partners in ``first`` and ``second``, from ``unit``."""
    return _total(first * second)


def _total(products: Array) -> Array:
    """Sums padded rows in a fixed order, unlike numpy's, so that C can reproduce it."""
    lanes = products[:, :LANES]
    for column in range(LANES, products.shape[1], LANES):
        lanes = lanes + products[:, column : column + LANES]
    while (half := lanes.shape[1] // 2) > 0:
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def by_overlap(
    predicted: Array, boxes: Array, profiles: tuple[Array, Array], levels: tuple[Array, Array]
) -> tuple[Array, Array, Array]:
    """Returns the pairs whose boxes overlap, with their gains.

    Args:
        predicted: Predicted boxes of the tracks, (n, 4).
        boxes: Boxes of the detections, (m, 4).
        profiles: Class scores of the tracks (n, W) and of the detections (m, W), from ``unit``.
        levels: Logarithms of the highest class score: the average of each track (n,), and the value
            of each detection (m,); float32.

    Returns:
        Tracks, detections and gains, (E,) each.
    """
    tracks, found, iou = touching_pairs(predicted, boxes, LEAST_OVERLAP)
    # Compared as a ratio, whose meaning does not depend on the detector's range of scores.
    apart = np.minimum(np.abs(levels[0][tracks] - levels[1][found]), np.float32(1.0))
    alike = cosine(profiles[0][tracks], profiles[1][found])
    gain = iou + CLASS_WEIGHT * alike - LEVEL_WEIGHT * apart
    good = np.flatnonzero(gain >= LEAST_GAIN)
    return tracks[good], found[good], gain[good]


def by_distance(
    places: tuple[Array, Array],
    sizes: tuple[Array, Array],
    lost: Array,
    profiles: tuple[Array, Array],
) -> tuple[Array, Array, Array]:
    """Returns the pairs of similar classes that are near, given how long the track was lost.

    Args:
        places: Centres and log sizes, predicted (n, 4) and measured (m, 4).
        sizes: Widths and heights, predicted (n, 2) and measured (m, 2).
        lost: Time from the last detection to the previous frame, (n,), in frames at 25 per second.
        profiles: Class scores of the tracks (n, W) and of the detections (m, W), from ``unit``.

    Returns:
        Tracks, detections and gains, (E,) each.
    """
    reach = np.minimum(REACH + REACH_PER_MISS * lost, LARGEST_REACH)
    step = np.abs(places[0][:, None] - places[1])
    part = step[..., :2] / np.maximum(sizes[0][:, None], sizes[1])
    away = np.sqrt(part[..., 0] * part[..., 0] + part[..., 1] * part[..., 1]) / reach[:, None]
    near = (away <= 1.0) & (step[..., 2] < LARGEST_GROWTH) & (step[..., 3] < LARGEST_GROWTH)
    tracks, found = np.nonzero(near)
    alike = cosine(profiles[0][tracks], profiles[1][found])
    good = np.flatnonzero(alike >= LEAST_COSINE)
    tracks, found = tracks[good], found[good]
    return tracks, found, alike[good] - away[tracks, found].astype(np.float32)


def greedy(tracks: Array, found: Array, gain: Array) -> tuple[Array, Array]:
    """Takes the pair with the highest gain, then the best free one, and so on."""
    order = np.argsort(-gain, kind="stable")
    busy: set[int] = set()
    taken: set[int] = set()
    pairs = []
    for track, detection in zip(tracks[order].tolist(), found[order].tolist(), strict=True):
        if track not in busy and detection not in taken:
            busy.add(track)
            taken.add(detection)
            pairs.append((track, detection))
    both = np.array(pairs, np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]
