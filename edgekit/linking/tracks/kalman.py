"""A Kalman filter for many boxes at once, and its fixed-lag smoother.

Each of a box's four coordinates ``(centre x, centre y, log width, log height)`` is filtered
separately, with a position and a velocity (Kalman 1960; trackers of boxes use it since SORT, Bewley
et al., ICIP 2016). The velocity decays: after a long time, an actor is more likely near its last
position than where its last motion would lead. Noise is relative to the size of the box, so that
nothing depends on the resolution. All arrays have one row for each box and one column for each
coordinate.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from edgekit.runtime.types import Array

__all__ = [
    "ACCELERATED",
    "FADING",
    "FIRST_VELOCITY",
    "MEASURED",
    "MOVED",
    "ONE_FRAME",
    "FilterStep",
    "States",
    "corners",
    "corrected",
    "predicted",
    "smoothed",
    "started",
    "step_of",
]

FADING = 0.8
MEASURED = 0.05
MOVED = 0.03
ACCELERATED = 0.006
FIRST_VELOCITY = 0.06
_ROUNDING = 1e-6


class FilterStep(NamedTuple):
    """Coefficients of the filter from one processed frame to the next; each is a number, or (n, 1).

    Attributes:
        carried: Multiple of the velocity by which a position moves.
        faded: Share of the velocity that remains.
        moved: Added variance of the position, for a box of size 1.
        shared: Added covariance of position and velocity.
        accelerated: Added variance of the velocity.
    """

    carried: Array | float
    faded: Array | float
    moved: Array | float
    shared: Array | float
    accelerated: Array | float


@functools.lru_cache(maxsize=4096)
def step_of(elapsed: float) -> FilterStep:
    """Returns the coefficients for a time: whole frames one after the other, then the rest.

    Args:
        elapsed: Time in frames at 25 per second, for which the constants hold; above 0.
    """
    carried, faded, moved, shared, accelerated = 0.0, 1.0, 0.0, 0.0, 0.0
    while elapsed > 0:
        part = min(1.0, elapsed)
        elapsed -= part
        fading = FADING**part
        ahead = (1 - fading) / (1 - FADING) if part < 1 else 1.0
        carried, faded = carried + ahead * faded, fading * faded
        moved += 2 * ahead * shared + ahead * ahead * accelerated + part * MOVED**2
        shared = fading * (shared + ahead * accelerated)
        accelerated = fading * fading * accelerated + part * ACCELERATED**2
    return FilterStep(carried, faded, moved, shared, accelerated)


ONE_FRAME = step_of(1.0)


class States(NamedTuple):
    """State estimates of n boxes; each field is (n, 4).

    Attributes:
        place: Mean of the coordinates.
        speed: Mean of their change per frame.
        place_variance: Variance of ``place``.
        covariance: Covariance of ``place`` and ``speed``.
        speed_variance: Variance of ``speed``.
    """

    place: Array
    speed: Array
    place_variance: Array
    covariance: Array
    speed_variance: Array


def corners(place: Array, size: Array | None = None) -> Array:
    """Returns (n, 4) boxes ``[x1, y1, x2, y2]`` of coordinates.

    Args:
        place: Coordinates, (n, 4).
        size: Widths and heights of ``place``, (n, 2); None computes them.
    """
    half = (np.exp(place[:, 2:]) if size is None else size) / 2
    return np.concatenate((place[:, :2] - half, place[:, :2] + half), axis=1)


def started(measured: Array, size: Array | None = None) -> States:
    """Returns the states of boxes that are seen for the first time.

    Args:
        measured: Measured coordinates, (n, 4).
        size: Widths and heights of ``measured``, (n, 2); None computes them.
    """
    unit = _unit(measured, size) ** 2
    still = np.zeros_like(measured)
    return States(measured, still, MEASURED**2 * unit, still, FIRST_VELOCITY**2 * unit)


def predicted(states: States, size: Array | None = None, step: FilterStep = ONE_FRAME) -> States:
    """Returns the states at the next processed frame, before anything is measured in it.

    Args:
        states: States at the current processed frame.
        size: Widths and heights of their positions, (n, 2); None computes them.
        step: Coefficients from the current processed frame to the next.
    """
    place, speed, p, c, s = states
    unit = _unit(place, size) ** 2
    a, f = step.carried, step.faded
    return States(
        place + a * speed,
        f * speed,
        p + 2 * a * c + a * a * s + step.moved * unit,
        f * (c + a * s) + step.shared * unit,
        f * f * s + step.accelerated * unit,
    )


def corrected(states: States, measured: Array, size: Array | None = None) -> States:
    """Returns the states after their boxes were measured in the predicted frame.

    Args:
        states: States from ``predicted``.
        measured: Coordinates of the boxes that were found, (n, 4).
        size: Widths and heights of the positions in ``states``, (n, 2); None computes them.
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


def smoothed(states: States, times: Array, lag: float) -> Array:
    """Returns the states of one track as they are known ``lag`` frames later, or at its end.

    This is the backward pass of Rauch, Tung and Striebel (1965). It runs for all processed frames
    in parallel, for each as far as its lag requires.

    Args:
        states: Filtered states at the track's n processed frames, in order.
        times: Times of these frames, (n,), in frames at 25 per second.
        lag: Lag in frames at 25 per second, at least 0.

    Returns:
        (n, 4) coordinates.
    """
    steps = [step_of(elapsed) for elapsed in (*np.diff(times).tolist(), 1.0)]
    step = FilterStep(*np.array(steps).T[:, :, None])
    ahead = predicted(states, step=step)
    p, c, s = ahead[2:]
    determinant = p * s - c * c
    # The smoother gain: cov(now, next) times the inverse of the predicted covariance.
    a = states.place_variance + step.carried * states.covariance
    b = step.faded * states.covariance
    d = states.covariance + step.carried * states.speed_variance
    e = step.faded * states.speed_variance
    gains = (a * s - b * c, b * p - a * c, d * s - e * c, e * p - d * c)
    pp, ps, sp, ss = (gain / determinant for gain in gains)
    # Row t holds frame min(t + ahead, seen[t]) as it is known at frame seen[t].
    looks = np.arange(len(times))
    seen = np.searchsorted(times, times + lag + _ROUNDING, side="right") - 1
    place, speed = states.place[seen], states.speed[seen]
    for further in range(int((seen - looks).max(initial=0)) - 1, -1, -1):
        rows = np.flatnonzero(seen - looks > further)
        now = rows + further
        off, rush = place[rows] - ahead.place[now], speed[rows] - ahead.speed[now]
        place[rows] = states.place[now] + pp[now] * off + ps[now] * rush
        speed[rows] = states.speed[now] + sp[now] * off + ss[now] * rush
    return place


def _unit(place: Array, size: Array | None) -> Array:
    """Returns the size in each coordinate that a relative noise of 1 refers to."""
    unit = np.ones_like(place)
    unit[:, :2] = np.exp(place[:, 2:]) if size is None else size
    return unit
