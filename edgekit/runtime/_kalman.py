"""A Kalman filter for many boxes at once, and the fixed-lag smoother that goes with it.

Each of a box's four coordinates ``(centre x, centre y, log width, log height)`` is filtered by
itself, with a position and a velocity (Kalman 1960; as trackers of boxes use it since SORT, Bewley
et al., ICIP 2016). The velocity fades: far ahead, an actor is rather where it was than where its
last motion would have carried it. Noise is relative to the size of the box, so that nothing here
depends on the resolution. All arrays have one row for each box and one column for each coordinate.
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
    "States",
    "Step",
    "coordinates",
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


class Step(NamedTuple):
    """What the filter does from one look to the next; each field is a number, or (n, 1).

    Attributes:
        carried: Times the velocity that a place moves on.
        faded: Share of the velocity that is left.
        moved: Variance that the place gains, for a box of size 1.
        shared: Covariance of place and velocity that is gained.
        accelerated: Variance that the velocity gains.
    """

    carried: Array | float
    faded: Array | float
    moved: Array | float
    shared: Array | float
    accelerated: Array | float


@functools.lru_cache(maxsize=4096)
def step_of(elapsed: float) -> Step:
    """The step over some time: whole frames one after the other, then what is left of one.

    Args:
        elapsed: In frames of 25 a second, at which the constants hold; above 0.
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
    return Step(carried, faded, moved, shared, accelerated)


ONE_FRAME = step_of(1.0)


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


def predicted(states: States, size: Array | None = None, step: Step = ONE_FRAME) -> States:
    """The states at the next look, before anything is measured in it.

    Args:
        states: Those at this look.
        size: Widths and heights of their places.
        step: From this look to the next.
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


def smoothed(states: States, times: Array, lag: float) -> Array:
    """Each look at one track as it is known ``lag`` frames later (or at the track's end).

    The backward pass of Rauch, Tung and Striebel (1965), as long for each look as its lag asks and
    done for all looks side by side.

    Args:
        states: The filtered states at the track's n looks, in order.
        times: (n,) when they were, in frames of 25 a second.
        lag: In frames of 25 a second, at least 0.

    Returns:
        (n, 4) coordinates.
    """
    steps = [step_of(elapsed) for elapsed in (*np.diff(times).tolist(), 1.0)]
    step = Step(*np.array(steps).T[:, :, None])
    ahead = predicted(states, step=step)
    p, c, s = ahead[2:]
    determinant = p * s - c * c
    # The smoother gain, cov(now, next) times the inverse of the predicted covariance.
    a = states.place_variance + step.carried * states.covariance
    b = step.faded * states.covariance
    d = states.covariance + step.carried * states.speed_variance
    e = step.faded * states.speed_variance
    gains = (a * s - b * c, b * p - a * c, d * s - e * c, e * p - d * c)
    pp, ps, sp, ss = (gain / determinant for gain in gains)
    # Row t holds look min(t + ahead, seen[t]) as it is known at look seen[t].
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
    """What a relative noise of 1 is in each coordinate."""
    unit = np.ones_like(place)
    unit[:, :2] = np.exp(place[:, 2:]) if size is None else size
    return unit
