from __future__ import annotations

import threading

import pytest

from edgekit.pipeline.capture_scheduler import CaptureScheduler
from tests.waiting import LIMIT

MARGIN = 0.002


class Stop(threading.Event):
    """Notes for how long it was waited for, and returns at once."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return super().wait(0)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def play(scheduler, clock, inferences, cascade=0.0):
    for seconds in inferences:
        scheduler.prepared(cascade)
        with scheduler.inference():
            clock.now += seconds


def test_takes_a_frame_at_once_while_nothing_is_known():
    stop = Stop()
    scheduler = CaptureScheduler(stop)
    assert scheduler.lead() == 0
    scheduler.wait()
    assert stop.waits == [0]


def test_shortest_inference_and_longest_cascade_decide(clock):
    scheduler = CaptureScheduler(Stop(), clock)
    play(scheduler, clock, [0.08, 0.05], cascade=0.001)
    play(scheduler, clock, [0.08], cascade=0.03)
    assert scheduler.lead() == pytest.approx(0.05 - 0.03 - MARGIN)


def test_an_inference_shorter_than_its_cascade_leaves_no_time(clock):
    scheduler = CaptureScheduler(Stop(), clock)
    play(scheduler, clock, [0.01], cascade=0.03)
    assert scheduler.lead() == 0


def test_old_frames_are_forgotten(clock):
    scheduler = CaptureScheduler(Stop(), clock)
    play(scheduler, clock, [0.0])
    play(scheduler, clock, [0.01] * 15)
    assert scheduler.lead() == 0
    play(scheduler, clock, [0.01])
    assert scheduler.lead() == pytest.approx(0.01 - MARGIN)


def test_the_next_frame_is_taken_as_much_before_the_end_as_its_cascade_needs(clock):
    stop = Stop()
    scheduler = CaptureScheduler(stop, clock)
    play(scheduler, clock, [0.5], cascade=0.1)
    scheduler.prepared(0.1)
    with scheduler.inference():
        clock.now += 0.3
        scheduler.wait()
        assert stop.waits == [pytest.approx(0.5 - 0.1 - MARGIN - 0.3)]
        clock.now += 0.3
        scheduler.wait()
        assert stop.waits[1] == 0


def test_waits_until_the_frame_before_is_in_the_network():
    scheduler = CaptureScheduler(Stop())
    scheduler.prepared(0.0)
    taken = threading.Event()
    thread = threading.Thread(target=lambda: (scheduler.wait(), taken.set()))
    thread.start()
    assert not taken.wait(0.1)
    with scheduler.inference():
        assert taken.wait(LIMIT)
    thread.join(LIMIT)


def test_stop_ends_the_waiting_for_the_frame_before():
    stop = threading.Event()
    scheduler = CaptureScheduler(stop)
    scheduler.prepared(0.0)
    thread = threading.Thread(target=scheduler.wait)
    thread.start()
    stop.set()
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_stop_ends_the_waiting_for_the_right_time(clock):
    stop = threading.Event()
    scheduler = CaptureScheduler(stop, clock)
    play(scheduler, clock, [100_000.0])
    scheduler.prepared(0.0)
    thread = threading.Thread(target=scheduler.wait)
    with scheduler.inference():
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        stop.set()
        thread.join(LIMIT)
        assert not thread.is_alive()
