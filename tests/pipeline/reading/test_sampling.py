"""Tests that ``--fps`` takes frames evenly in time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.pipeline.reading.motion_gate import MotionGate
from edgekit.pipeline.reading.sampling import HEARTBEAT, FrameRateCap, Sampling
from edgekit.runtime.types import Frame

PICTURE = np.zeros((2, 2, 3), np.uint8)


def frames(times, gaps=()):
    breaks = dict(gaps)
    return [Frame(i, time, PICTURE, breaks.get(i, "")) for i, time in enumerate(times)]


def taken(cap, given):
    cap = FrameRateCap(cap)
    return [frame.index for frame in given if cap.takes(frame)]


@pytest.mark.parametrize(
    ("rate", "cap", "every"),
    [
        (25, 5, 5),
        (25, 12.5, 2),
        (30, 15, 2),
        (30, 10, 3),
        (60, 30, 2),
        (29.97, 9.99, 3),
        (25, 1, 25),
    ],
)
def test_a_cap_that_divides_the_rate_takes_every_nth_frame(rate, cap, every):
    # Cameras and containers round times to milliseconds.
    for times in ([i / rate for i in range(400)], [round(i / rate, 3) for i in range(400)]):
        assert taken(cap, frames(times)) == [*range(0, 400, every)]


@given(st.floats(5, 120), st.floats(0.5, 200), st.floats(0, 1e5))
def test_frames_are_taken_evenly_and_no_more_than_the_cap(rate, cap, begin):
    found = np.array(taken(cap, frames(begin + i / rate for i in range(300))))
    assert len(found) <= math.ceil(300 * min(cap / rate, 1) + 1)
    assert len(found) >= math.floor(300 * min(cap / rate, 1) - 1)
    steps = np.diff(found)
    if len(steps):
        assert steps.max() - steps.min() <= 1


@given(st.floats(5, 60), st.floats(1, 60), st.integers(0, 2**32 - 1))
def test_jitter_does_not_change_how_many_are_taken(rate, cap, seed):
    late = np.random.default_rng(seed).uniform(0, 0.4 / rate, 300)
    found = taken(cap, frames(np.arange(300) / rate + late))
    assert len(found) == pytest.approx(300 * min(cap / rate, 1), abs=max(3, 0.05 * len(found)))


@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), max_size=60), st.floats(0.01, 100))
def test_no_times_stop_it(times, cap):
    given = frames([0.0, *times])
    assert taken(cap, given)[0] == 0


def test_times_that_stand_still_run_back_or_jump_are_one_step():
    steady = [i / 25 for i in range(100)]
    assert taken(5, frames([7.0] * 100)) == [*range(0, 100, 5)]
    back = steady[:50] + [time - 3600 for time in steady[50:]]
    jumped = steady[:50] + [time + 3600 for time in steady[50:]]
    assert taken(5, frames(back)) == taken(5, frames(jumped)) == [*range(0, 100, 5)]


@pytest.mark.parametrize("seconds", [50, 90, 3600])
def test_a_source_that_is_slower_than_the_cap_is_taken_whole(seconds):
    # A single step of more than a minute may be a wrong time.
    found = taken(1, frames(seconds * i for i in range(100)))
    assert found == ([*range(100)] if seconds <= 60 else [0, *range(2, 100)])


def test_a_pause_is_not_made_up_for():
    times = [*(i / 25 for i in range(50)), *(12 + i / 25 for i in range(50))]
    found = taken(5, frames(times))
    assert [*np.diff(found[-9:])] == [5] * 8
    assert 50 in found


@pytest.mark.parametrize("gap", ["reconnect", "seek", "resize"])
def test_the_first_frame_after_a_break_is_taken(gap):
    assert taken(5, frames((i / 25 for i in range(12)), [(7, gap)])) == [0, 5, 7]
    assert taken(5, frames((i / 25 for i in range(12)), [(7, "dropped")])) == [0, 5, 10]


@pytest.mark.parametrize("fps", [0, -1, -0.5, math.nan, math.inf])
def test_a_rate_that_cannot_be_is_refused(fps):
    with pytest.raises(UsageError, match="Expected fps to be"):
        FrameRateCap(fps)


def test_the_end_of_the_time_is_seen_however_low_the_cap():
    sampling = Sampling(FrameRateCap(0.01), until=2.0)
    given = frames(i / 25 for i in range(60))
    assert [frame.index for frame in given if not sampling.skips(frame)] == [0, *range(50, 60)]
    assert {sampling.skips(frame) for frame in frames([0.0, 0.04])} == {"fps"}
    assert not any(map(Sampling().skips, given))


class Gate(MotionGate):
    """Says what the test wants."""

    still = True

    def is_still(self, frame):
        self.now = frame.time
        return self.still


def test_a_still_source_has_a_heartbeat():
    given = frames(i / 25 for i in range(160))
    sampling = Sampling(gate=Gate())
    assert [frame.index for frame in given if not sampling.skips(frame)] == [0, 75, 150]
    assert sampling.skips(frames([6.36])[0]) == "still"


def test_what_moves_is_capped_and_what_is_still_is_reported_as_still():
    gate = Gate()
    sampling = Sampling(FrameRateCap(5), gate)
    given = frames(i / 25 for i in range(180))
    found = []
    for frame in given:
        gate.still = frame.index >= 50
        found.append(sampling.skips(frame))
    assert set(found[:50]) == {"", "fps"}
    assert [*np.flatnonzero(np.array(found) == "")[:11]] == [*range(0, 50, 5), 120]
    assert found[50:120] == ["still"] * 70


def test_the_longest_step_is_what_cap_and_heartbeat_leave_out():
    assert Sampling().longest_step == 0
    assert Sampling(FrameRateCap(0.5)).longest_step == 2
    assert Sampling(gate=Gate()).longest_step == HEARTBEAT
    assert Sampling(FrameRateCap(5), Gate()).longest_step == pytest.approx(HEARTBEAT + 0.2)
