"""Tests what a frame knows of its own inference, and when it is taken."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np

from edgekit.pipeline.capture import Capture, Work
from edgekit.pipeline.detector_slot import DetectorSlot
from edgekit.pipeline.reading.frame_reader import PairedFrame
from edgekit.runtime.types import Frame


class Detector:
    """Returns its inputs, or raises an error."""

    def __init__(self, error=None):
        self._error = error
        self.released = None

    def infer(self, inputs):
        if self._error is not None:
            raise self._error
        return inputs

    def release(self, inputs):
        self.released = inputs


def work_of(detector, read):
    work = Work(frame=Frame(0, 0.0, np.zeros((4, 4, 3), np.uint8)), read=read, inputs={"input": 3})
    work.installed = SimpleNamespace(detector=detector)
    return work


def test_the_age_is_the_time_from_the_capture_to_the_inference():
    detector = Detector()
    work = work_of(detector, time.monotonic() - 60)
    work.infer()
    assert work.age >= 60_000
    assert (work.outputs, work.inputs, work.error) == ({"input": 3}, {}, None)
    assert detector.released == {"input": 3}
    assert work.ms["network"] >= 0


def test_an_error_is_kept_and_a_frame_with_one_is_not_inferred():
    error = ValueError("broken")
    work = work_of(Detector(error), 0.0)
    work.infer()
    assert (work.error, work.outputs, work.inputs) == (error, {}, {})
    work.age = None
    work.infer()
    assert work.age is None
    none = Work()
    none.infer()
    assert (none.age, none.outputs) == (None, {})


def test_a_frame_without_inputs_yet_can_be_shown():
    assert repr(Work()).startswith("Work(gaps=[], frame=None")


def test_the_schedule_learns_how_many_seconds_each_cascade_took(monkeypatch):
    now, told = [50.0], []
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    class Slow(Detector):
        recent_frames = staticmethod(lambda: None)

        def prepare(self, image, sample_aspect, earlier):
            now[0] += 0.25
            return {"input": image}, None

    def next_frame():
        told.append("taken")
        return PairedFrame(Frame(0, 0.0, np.zeros((4, 4, 3), np.uint8)), 0.0)

    schedule = SimpleNamespace(wait=lambda: told.append("waited"), prepared=told.append)
    slot = DetectorSlot(Slow(), ("", ""))
    reader, stop = SimpleNamespace(next=next_frame), threading.Event()
    capture = Capture(
        reader, slot, slot.current, stop, duration=9, max_frames=1, scheduler=schedule
    )
    (work,) = capture
    assert work.ms["cascade"] == 250
    assert told == ["waited", "taken", 0.25]
