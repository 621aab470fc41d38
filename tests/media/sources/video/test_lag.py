"""Tests that lag follows from the times in a stream, whatever its clock does."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgekit.media.sources.video._lag import Lag

JITTER = st.lists(st.floats(0, 0.3), min_size=2, max_size=60)


@given(delays=JITTER, begin=st.floats(-1e5, 1e5), start=st.floats(0, 1e6))
def test_jitter_is_a_lag_of_its_size_and_no_more(delays, begin, start):
    lag = Lag()
    for index, delay in enumerate(delays):
        found = lag.of(begin + index, start + index + delay)
        assert -1e-6 <= found <= delay - min(delays[: index + 1]) + 1e-6


SECONDS = st.none() | st.floats(-1e5, 1e5) | st.integers(0, 9)
STEPS = st.lists(st.tuples(SECONDS, st.floats(1e-3, 5), st.booleans()), max_size=40)


@given(steps=STEPS)
@example([(0.0, 1.0, False), (None, 2.0, False), (1.0, 1.0, False)])
def test_pictures_are_taken_one_after_the_other_whatever_the_times_of_the_stream(steps):
    lag, now, last = Lag(), 0.0, -1.0
    for seconds, pause, clears in steps:
        now += pause
        if clears:
            lag.clear()
        taken = now - lag.of(seconds, now)
        assert last < taken <= now
        last = taken


@given(delays=JITTER, pace=st.floats(1.1, 4))
def test_a_stream_that_is_read_too_slowly_falls_behind(delays, pace):
    lag = Lag()
    for index in range(100):
        found = lag.of(index / 25, 7 + pace * index / 25)
    assert found == pytest.approx((pace - 1) * 99 / 25, abs=0.01)


def test_a_clock_that_begins_anew_forgets_no_lag():
    lag = Lag()
    for index in range(50):
        lag.of(index / 25, 2 * index / 25)
    before = lag.of(2.0, 4.0)
    assert before == pytest.approx(2.0, abs=0.01)
    assert lag.of(0.0, 4.04) == pytest.approx(2.0, abs=0.01)
    assert lag.of(None, 4.08) == pytest.approx(2.0, abs=0.01)
    assert lag.of(0.08, 4.2) == pytest.approx(2.08, abs=0.01)
    # A jump forward: the stream cannot be ahead of the clock.
    assert lag.of(90.0, 4.24) == pytest.approx(0.0)
    lag.clear()
    assert lag.of(1.0, 5.0) == 0.0


def test_clocks_that_run_apart_a_little_are_no_lag():
    lag = Lag()
    for index in range(100_000):
        found = lag.of(index * 1.0, index * 1.0001)
    assert found < 1e-3
