"""Tests that motion differs from a single change, and needs known limits."""

from __future__ import annotations

import numpy as np

from edgekit.pipeline.reading.motion_detector import MotionDetector

SHAPE = (40, 60)
STEP = 0.04
BEGAN = 2.0


def cells(column: int | None = None) -> np.ndarray:
    """Returns a grey picture, with a white block that begins in this column."""
    found = np.full((*SHAPE, 3), 100.0, np.float32)
    found[::3] = 60.0  # a pattern, so that a shift of the whole picture can be measured
    if column is not None:
        found[15:21, column : column + 6] = 255.0
    return found


def see(detector: MotionDetector, pictures: list[np.ndarray], now: float = BEGAN) -> list[float]:
    """Returns when motion was last seen, after each picture."""
    moved = []
    for picture in pictures:
        now += STEP
        detector.add(picture, STEP, now)
        moved.append(detector.moved)
    return moved


def detector() -> MotionDetector:
    return MotionDetector(BEGAN, np.full(SHAPE, 5.0, np.float32))


def test_a_block_that_moves_is_seen_in_its_second_picture() -> None:
    moved = see(detector(), [cells()] * 30 + [cells(20), cells(23)])
    assert moved[:-1] == [BEGAN] * 31
    assert moved[-1] > BEGAN + 31 * STEP


def test_a_block_that_appears_and_stays_is_no_motion_at_first() -> None:
    assert see(detector(), [cells()] * 30 + [cells(20)] * 3) == [BEGAN] * 33


def test_nothing_moves_without_limits() -> None:
    assert set(see(MotionDetector(BEGAN), [cells(3 * n) for n in range(15)])) == {BEGAN}


def test_a_picture_of_another_size_does_not_fit() -> None:
    found = detector()
    assert found.fits(cells()[:10])
    found.add(cells(), STEP, BEGAN)
    assert found.fits(cells(3))
    assert not found.fits(cells()[:10])
