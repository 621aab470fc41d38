"""Tests the time between frames where the times of a source cannot be believed."""

from __future__ import annotations

import math

import pytest

from edgekit.runtime.source_clock import SourceClock


def test_steps_are_those_of_the_times() -> None:
    clock = SourceClock()
    assert clock.usual == 0.04
    assert [clock.step(time) for time in (5.0, 5.1, 5.2, 65.0)] == pytest.approx(
        [0, 0.1, 0.1, 59.8]
    )
    assert clock.usual == pytest.approx(0.1)


@pytest.mark.parametrize("jump", [0.0, -1.0, 60.5, math.nan, math.inf])
def test_a_time_that_cannot_be_is_one_usual_step(jump: float) -> None:
    clock = SourceClock()
    for time in (1.0, 1.2, 1.4):
        clock.step(time)
    assert clock.step(1.4 + jump) == pytest.approx(0.2)
    assert clock.usual == pytest.approx(0.2)


def test_a_source_that_always_takes_more_than_a_minute_is_believed() -> None:
    clock = SourceClock()
    assert [clock.step(90.0 * place) for place in range(4)] == pytest.approx([0, 0.04, 90, 90])
    assert clock.usual == pytest.approx(90)


def test_what_is_usual_is_the_median_of_the_last_sixteen_steps() -> None:
    clock = SourceClock()
    for place in range(21):
        clock.step(0.5 * place)
    for place in range(1, 9):
        clock.step(10 + 0.1 * place)
    assert clock.usual == pytest.approx((0.5 + 0.1) / 2)  # eight of each
