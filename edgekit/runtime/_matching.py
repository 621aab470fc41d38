"""Which track continues in which detection, whatever the class."""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["by_distance", "by_overlap", "cosine", "greedy", "overlapping", "padded", "unit"]

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

LANES = 8
"""Class scores are added up in so many lanes."""


def overlapping(first: Array, second: Array, least: float) -> tuple[Array, Array, Array]:
    """The pairs of boxes whose IoU is at least ``least``, which is above 0.

    Args:
        first: (n, 4) boxes.
        second: (m, 4) boxes.
        least: Above 0.

    Returns:
        Rows of ``first``, rows of ``second`` and IoUs, (E,) each, by the first, then the second.
    """
    one, two = first.T.astype(np.float32), second.T.astype(np.float32)
    # Dense work is kept to the few steps that tell which boxes touch at all.
    width = np.minimum.outer(one[2], two[2])
    width -= np.maximum.outer(one[0], two[0])
    height = np.minimum.outer(one[3], two[3])
    height -= np.maximum.outer(one[1], two[1])
    touching = np.flatnonzero(np.minimum(width, height).ravel() > 0)
    rows, columns = np.divmod(touching, len(second))
    shared = width.ravel()[touching] * height.ravel()[touching]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    iou = shared / (areas[0][rows] + areas[1][columns] - shared)
    good = np.flatnonzero(iou >= least)
    return rows[good], columns[good], iou[good]


def padded(scores: Array) -> Array:
    """(n, W) float64: scores (n, C) and zeros behind them, W the next multiple of ``LANES``."""
    wide = np.zeros((len(scores), -(-scores.shape[1] // LANES) * LANES))
    wide[:, : scores.shape[1]] = scores
    return wide


def unit(rows: Array) -> Array:
    """(n, W) float32: padded rows of length 1, or 0 where they hold nothing."""
    length = np.maximum(np.sqrt(_total(rows * rows)), 1e-9)
    return (rows / length[:, None]).astype(np.float32)


def cosine(first: Array, second: Array) -> Array:
    """(E,) float32 cosine of each of ``first`` with its partner in ``second``, both by ``unit``."""
    return _total(first * second)


def _total(products: Array) -> Array:
    """Sums of padded rows. The order is fixed, unlike numpy's own, so that C can keep to it."""
    lanes = products[:, :LANES]
    for column in range(LANES, products.shape[1], LANES):
        lanes = lanes + products[:, column : column + LANES]
    while (half := lanes.shape[1] // 2) > 0:
        lanes = lanes[:, :half] + lanes[:, half:]
    return lanes[:, 0]


def by_overlap(
    predicted: Array, boxes: Array, profiles: tuple[Array, Array], levels: tuple[Array, Array]
) -> tuple[Array, Array, Array]:
    """The pairs whose boxes overlap, and what each gains.

    Args:
        predicted: (n, 4) boxes of the tracks.
        boxes: (m, 4) those found.
        profiles: Class scores of the tracks (n, W) and of the detections (m, W), by ``unit``.
        levels: Logarithms of the highest class score: what each track has on average (n,), and
            what each detection has (m,); float32.

    Returns:
        Tracks, detections and gains, (E,) each.
    """
    tracks, found, iou = overlapping(predicted, boxes, LEAST_OVERLAP)
    # In proportion: what half a score means depends on the detector, twice the score does not.
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
    """The pairs of the same classes that are near for how long the track was lost.

    Args:
        places: Centres and logarithms of size, as predicted (n, 4) and as measured (m, 4).
        sizes: Widths and heights of both.
        lost: (n,) time from the last detection to the frame before, in frames of 25 a second.
        profiles: As for ``by_overlap``.

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
    """Takes the pair that gains most, then the best that is still free, and so on."""
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
