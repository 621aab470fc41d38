from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.media.sources._frame_clock import FrameClock, checked_fps

times = st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([float("nan"), float("inf")]))


@given(st.lists(times), st.sampled_from([5.0, 25.0, 1000.0]))
def test_time_begins_at_zero_and_only_advances(shown, fps):
    clock = FrameClock(fps)
    seconds = [clock.seconds(each) for each in shown]
    assert seconds[:1] in ([], [0.0])
    assert all(later > earlier for earlier, later in itertools.pairwise(seconds))


@given(st.floats(-100, 100), st.lists(st.floats(0.001, 10), max_size=20))
def test_times_that_advance_are_kept(begin, steps):
    shown = list(itertools.accumulate(steps, initial=begin))
    clock = FrameClock(25)
    seconds = [clock.seconds(each) for each in shown]
    assert seconds == pytest.approx([each - begin for each in shown])


def test_a_frame_without_a_time_comes_one_frame_later():
    clock = FrameClock(25)
    assert [clock.seconds(each) for each in (3.0, None, 3.2)] == pytest.approx([0, 0.04, 0.2])


def test_joined_recordings_go_on():
    clock = FrameClock(10)
    seconds = [clock.seconds(each) for each in (0.0, 5.0, 10.0, 0.0, 5.0)]
    assert seconds == pytest.approx([0, 5, 10, 10.1, 15.1])


@pytest.mark.parametrize("unit", [1000, 90000, 1e6])
def test_a_unit_of_time_is_no_rate(unit):
    assert checked_fps(unit, [number / 25 for number in range(30)]) == pytest.approx(25)


@pytest.mark.parametrize("declared", [24.0, 29.97, 240.0])
def test_a_rate_that_fits_is_kept_to_the_bit(declared):
    assert checked_fps(declared, [number / declared for number in range(30)]) == declared
    assert checked_fps(declared, []) == declared


@pytest.mark.parametrize("declared", [0.0, float("nan"), -5.0])
def test_what_is_no_rate_is_measured(declared):
    assert checked_fps(declared, [0.0, 0.1, 0.2]) == pytest.approx(10)
    assert checked_fps(declared, []) == 25
