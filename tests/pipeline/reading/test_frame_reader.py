from __future__ import annotations

import threading

import numpy as np
import pytest

from edgekit.pipeline.reading import frame_reader
from edgekit.pipeline.reading.frame_reader import Pace
from edgekit.runtime.types import Frame


class Passing(threading.Event):
    """Time that passes while it is waited for, and where the test says so."""

    def __init__(self):
        super().__init__()
        self.now, self.waits = 100.0, []

    def monotonic(self):
        return self.now

    def wait(self, timeout=None):
        self.waits.append(timeout)
        self.now += timeout
        return False


def test_frames_are_held_until_their_time_has_come(monkeypatch):
    time = Passing()
    monkeypatch.setattr(frame_reader, "time", time)
    pace = Pace(time)
    for number, work in enumerate((0.01, 0.01, 0.07, 0.0)):
        pace.wait_for(Frame(number, 7 + number / 25, np.zeros((2, 2, 3), np.uint8)))
        time.now += work
    # The third took longer than a frame lasts: the fourth is late and not held at all.
    assert time.waits == pytest.approx([0, 0.03, 0.03, 0])


def test_a_jump_by_hours_is_not_waited_for(monkeypatch):
    time = Passing()
    monkeypatch.setattr(frame_reader, "time", time)
    pace = Pace(time)
    for number, seconds in enumerate((0.0, 0.04, 0.08, 10800.0, 10800.04)):
        pace.wait_for(Frame(number, seconds, np.zeros((2, 2, 3), np.uint8)))
    assert time.waits == pytest.approx([0, 0.04, 0.04, 0.04, 0.04])
