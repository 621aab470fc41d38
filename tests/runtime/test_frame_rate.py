"""Tests the frame rate that is measured from the times of frames."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgekit.runtime.frame_rate import MeasuredRate
from edgekit.runtime.types import Frame

IMAGE = np.zeros((2, 2, 3), np.uint8)


def rate_of(times, indices=None, declared=30.0):
    measured = MeasuredRate(declared)
    for index, time in zip(indices or range(len(times)), times, strict=True):
        measured.add(Frame(index, time, IMAGE))
    return measured.fps


@pytest.mark.parametrize("fps", [0.01, 10, 24, 60, 240])
def test_a_rate_is_that_of_the_times_rounded_or_not(fps):
    assert rate_of([n / fps for n in range(300)]) == pytest.approx(fps)
    assert rate_of([round(n / fps, 3) for n in range(300)]) == pytest.approx(fps, rel=0.01)


def test_frames_that_did_not_come_and_pauses_do_not_count():
    indices = [n for n in range(300) if n % 7 and n % 5]
    times = [n / 25 + 600 * (n > 150) for n in indices]
    assert rate_of(times, indices) == pytest.approx(25)


@pytest.mark.parametrize("times", [[], [5.0], [1.0] * 9, [math.nan] * 9, [3.0, 2.0, 1.0]])
def test_without_times_the_declared_rate_remains(times):
    assert rate_of(times) == 30


def test_months_of_frames_take_no_more_memory():
    measured = MeasuredRate(30.0)
    for index in range(20_000):
        measured.add(Frame(index, index / 10, IMAGE))
    assert len(measured._steps) <= 2048
    assert measured.fps == pytest.approx(10)
