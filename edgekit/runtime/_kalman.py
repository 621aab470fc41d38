"""A Kalman filter for many boxes at once, and the fixed-lag smoother that goes with it.

Each of a box's four coordinates ``(centre x, centre y, log width, log height)`` is filtered by
itself, with a position and a velocity (Kalman 1960; as trackers of boxes use it since SORT, Bewley
et al., ICIP 2016). The velocity fades: far ahead, an actor is rather where it was than where its
last motion would have carried it. Noise is relative to the size of the box, so that nothing here
depends on the resolution. All arrays have one row for each box and one column for each coordinate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgekit.runtime.types import Array

__all__ = [
    "ACCELERATED",
    "FADING",
    "FIRST_VELOCITY",
    "MEASURED",
    "MOVED",
    "States",
    "coordinates",
    "corners",
    "corrected",
    "predicted",
    "smoothed",
    "started",
]

FADING = 0.8
MEASURED = 0.05
MOVED = 0.03
ACCELERATED = 0.006
FIRST_VELOCITY = 0.06


class States(NamedTuple):
    """What is known of n boxes; each field is (n, 4).

    Attributes:
        place: Mean of the coordinates.
        speed: Mean of their change a frame.
        place_variance: Of ``place``.
        covariance: Of ``place`` with ``speed``.
        speed_variance: Of ``speed``.
    """

    place: Array
    speed: Array
    place_variance: Array
    covariance: Array
    speed_variance: Array


def coordinates(boxes: Array) -> Array:
    """(n, 4) centre and logarithm of the size, at least a pixel, of boxes ``[x1, y1, x2, y2]``."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.concatenate(((boxes[:, :2] + boxes[:, 2:]) / 2, np.log(size)), axis=1)


def corners(place: Array, size: Array | None = None) -> Array:
    """(n, 4) boxes ``[x1, y1, x2, y2]``; undoes ``coordinates``.

    Args:
        place: (n, 4).
        size: (n, 2) widths and heights of ``place``, where they are known; likewise below.
    """
    half = (np.exp(place[:, 2:]) if size is None else size) / 2
    return np.concatenate((place[:, :2] - half, place[:, :2] + half), axis=1)


def started(measured: Array, size: Array | None = None) -> States:
    """The states of boxes seen for the first time.

    Args:
        measured: (n, 4) as ``coordinates`` gives them.
        size: Of ``measured``.
    """
    unit = _unit(measured, size) ** 2
    still = np.zeros_like(measured)
    return States(measured, still, MEASURED**2 * unit, still, FIRST_VELOCITY**2 * unit)


def predicted(states: States, size: Array | None = None) -> States:
    """The states one frame later, before anything is measured in it.

    Args:
        states: Of this frame.
        size: Of their places.
    """
    place, speed, p, c, s = states
    unit = _unit(place, size) ** 2
    return States(
        place + speed,
        FADING * speed,
        p + 2 * c + s + MOVED**2 * unit,
        FADING * (c + s),
        FADING**2 * s + ACCELERATED**2 * unit,
    )


def corrected(states: States, measured: Array, size: Array | None = None) -> States:
    """The states after their boxes were measured in the frame to which they were predicted.

    Args:
        states: As ``predicted`` gives them.
        measured: (n, 4) coordinates of the boxes that were found.
        size: Of the places in ``states``.
    """
    place, speed, p, c, s = states
    total = p + MEASURED**2 * _unit(place, size) ** 2
    gain, speed_gain = p / total, c / total
    error = measured - place
    return States(
        place + gain * error,
        speed + speed_gain * error,
        (1 - gain) * p,
        (1 - gain) * c,
        s - speed_gain * c,
    )


def smoothed(states: States, lag: int) -> Array:
    """Each frame of one track as it is known ``lag`` frames later (or at the track's end).

    The backward pass of Rauch, Tung and Striebel (1965), ``lag`` steps long for each frame and
    done for all frames side by side.

    Args:
        states: The filtered states of the track's n frames, in order.
        lag: Frames, at least 0.

    Returns:
        (n, 4) coordinates.
    """
    frames = len(states.place)
    ahead = predicted(states)
    p, c, s = ahead[2:]
    determinant = p * s - c * c
    # The smoother gain, cov(now, next) times the inverse of the predicted covariance.
    a = states.place_variance + states.covariance
    b = FADING * states.covariance
    d = states.covariance + states.speed_variance
    e = FADING * states.speed_variance
    gains = (a * s - b * c, b * p - a * c, d * s - e * c, e * p - d * c)
    pp, ps, sp, ss = (gain / determinant for gain in gains)
    # Row t holds frame min(t + step, end) seen from frame min(t + lag, end).
    end = frames - 1
    seen = np.minimum(np.arange(frames) + lag, end)
    place, speed = states.place[seen], states.speed[seen]
    for step in range(min(lag, end) - 1, -1, -1):
        rows = slice(0, end - step)
        now = slice(step, end)
        off, rush = place[rows] - ahead.place[now], speed[rows] - ahead.speed[now]
        place[rows] = states.place[now] + pp[now] * off + ps[now] * rush
        speed[rows] = states.speed[now] + sp[now] * off + ss[now] * rush
    return place


def _unit(place: Array, size: Array | None) -> Array:
    """What a relative noise of 1 is in each coordinate."""
    unit = np.ones_like(place)
    unit[:, :2] = np.exp(place[:, 2:]) if size is None else size
    return unit
