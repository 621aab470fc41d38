"""Which track continues in which detection, whatever the class."""

from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Array

__all__ = ["by_distance", "by_overlap", "cosine", "greedy", "overlapping"]

_LEAST_OVERLAP = 0.1
_CLASS_WEIGHT = 1.0
_LEVEL_WEIGHT = 0.5
_LEAST_GAIN = 0.8
_LEAST_COSINE = 0.6
_REACH = 0.6
_REACH_PER_MISS = 0.12
_LARGEST_REACH = 2.0
_LARGEST_GROWTH = 0.7
_SMALL_PRODUCT = 2**18


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


def cosine(first: Array, second: Array) -> Array:
    """(n, m) float32 cosine between each of ``first`` (n, C) and each of ``second`` (m, C)."""
    one, two = (
        (rows / np.maximum(np.sqrt((rows**2).sum(axis=1, keepdims=True)), 1e-9)).astype(np.float32)
        for rows in (first, second)
    )
    alike = np.empty((len(one), len(two)), np.float32)
    # In products so small that BLAS does not wake its threads, which cost more than they save.
    block = max(1, _SMALL_PRODUCT // max(1, two.size))
    for begin in range(0, len(one), block):
        alike[begin : begin + block] = one[begin : begin + block] @ two.T
    return alike


def by_overlap(
    predicted: Array, boxes: Array, alike: Array, level: Array, peak: Array
) -> tuple[Array, Array, Array]:
    """The pairs whose boxes overlap, and what each gains.

    Args:
        predicted: (n, 4) boxes of the tracks.
        boxes: (m, 4) those found.
        alike: (n, m) cosine of the class scores.
        level: (n,) highest class score that each track has on average.
        peak: (m,) highest class score of each detection.

    Returns:
        Tracks, detections and gains, (E,) each.
    """
    tracks, found, iou = overlapping(predicted, boxes, _LEAST_OVERLAP)
    # In proportion: what half a score means depends on the detector, twice the score does not.
    apart = np.minimum(np.abs(np.log(level[tracks] / peak[found])), 1.0)
    gain = iou + _CLASS_WEIGHT * alike[tracks, found] - _LEVEL_WEIGHT * apart
    good = np.flatnonzero(gain >= _LEAST_GAIN)
    return tracks[good], found[good], gain[good]


def by_distance(
    predicted: Array, measured: Array, misses: Array, alike: Array
) -> tuple[Array, Array, Array]:
    """The pairs of the same classes that are near for how long the track was lost.

    Args:
        predicted: (n, 4) centres and logarithms of size.
        measured: (m, 4) likewise.
        misses: (n,) frames since the last detection.
        alike: (n, m) cosine of the class scores.

    Returns:
        Tracks, detections and gains, (E,) each.
    """
    reach = np.minimum(_REACH + _REACH_PER_MISS * misses, _LARGEST_REACH)
    tracks, found = np.nonzero(alike >= _LEAST_COSINE)
    step = np.abs(predicted[tracks] - measured[found])
    size = np.exp(np.maximum(predicted[tracks, 2:], measured[found, 2:]))
    away = np.sqrt(((step[:, :2] / size) ** 2).sum(axis=1)) / reach[tracks]
    good = np.flatnonzero((away <= 1.0) & (step[:, 2:].max(axis=1) < _LARGEST_GROWTH))
    tracks, found = tracks[good], found[good]
    return tracks, found, alike[tracks, found] - away[good]


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
