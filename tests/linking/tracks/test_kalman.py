"""Tests the filter's noise against the size of a box that is wider than high."""

from __future__ import annotations

import numpy as np

from edgekit.linking.tracks import kalman

SIZE = np.array([[40.0, 10.0]])
PLACE = np.concatenate((np.array([[100.0, 50.0]]), np.log(SIZE)), axis=1)


def test_noise_is_relative_to_width_and_height() -> None:
    states = kalman.started(PLACE)
    deviation = np.sqrt(states.place_variance) / kalman.MEASURED
    assert np.allclose(deviation, [[40, 10, 1, 1]])
    assert np.allclose(np.sqrt(states.speed_variance) / kalman.FIRST_VELOCITY, [[40, 10, 1, 1]])
    assert np.allclose(kalman.corners(PLACE), [[80, 45, 120, 55]])


def test_a_size_that_is_given_is_that_which_would_be_computed() -> None:
    states = kalman.started(PLACE)
    measured = PLACE + np.array([[4.0, 1.0, 0.1, -0.1]])
    for own, other in (
        (kalman.started(PLACE, SIZE), states),
        (kalman.predicted(states, SIZE), kalman.predicted(states)),
        (kalman.corrected(states, measured, SIZE), kalman.corrected(states, measured)),
    ):
        assert all(np.allclose(a, b) for a, b in zip(own, other, strict=True))
    assert np.allclose(kalman.corners(PLACE, SIZE), kalman.corners(PLACE))
