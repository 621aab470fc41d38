from __future__ import annotations

import numpy as np
import pytest

from edgekit.media.drawing.frame_times import FrameTimes
from edgekit.runtime.types import Frame

IMAGE = np.zeros((4, 4, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 2, 900, 5000])
def test_the_time_of_a_frame_is_its_own_and_not_that_of_the_declared_rate(count):
    """Of a camera that declares 30 frames per second, and gives 15 in the dark."""
    times = FrameTimes(30.0)
    for index in range(count):
        times.add(Frame(index, 100 + index / 15, IMAGE))
    for index in range(0, count, 7):
        assert times.at(index) == pytest.approx(index / 15)
    assert times.at(count + 29) == pytest.approx((count - 1) / 15 + 1)
    assert len(times._kept) <= 1024


def test_frames_that_did_not_come_lie_between_those_that_did():
    times = FrameTimes(25.0)
    assert times.at(10) == pytest.approx(0.4)
    for index, seconds in ((4, 1.0), (8, 2.0), (20, 61.0), (21, float("nan"))):
        times.add(Frame(index, seconds, IMAGE))
    assert [times.at(index) for index in (0, 4, 6, 8, 14, 20)] == [0, 0, 0.5, 1, 30.5, 60]
    assert times.at(21) == pytest.approx(60.04)
