"""Tests the file of detections that a run writes."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.metrics.detections import read_detections
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.running.sinks import DetectionsSink, TubeTally
from edgekit.runtime.types import Detections, Frame


def test_frames_that_were_lost_on_the_way_leave_the_others_at_their_place(tmp_path):
    path = tmp_path / "d.json"
    sink = DetectionsSink(path)
    sink.start(RunInfo("camera", 20, 10, 25.0, None, ("a",)))
    image = np.zeros((10, 20, 3), np.uint8)
    found = Detections(np.float32([[1, 2, 3, 4]]), np.float32([[0.5]]))
    for index in (0, 3, 7):  # 1 and 2 without a gap; of 4 to 6 a gap tells
        if index == 7:
            sink.gap(Gap(7, "dropped", 2))
        sink.frame(FrameResult(Frame(index, index / 10, image), found, []))
    sink.end(RunSummary(3, 2, 1.0, {}))
    sink.close()
    (video,) = read_detections(path).videos
    assert FrameDetections.of(video.detections, 1).fps == 10
    assert [each is not None for each in video.detections] == [n in (0, 3, 7) for n in range(8)]


def test_the_rate_of_a_source_is_that_of_its_frames_and_not_what_it_declares():
    tally = TubeTally()
    tally.start(RunInfo("camera", 20, 10, 30.0, None, ("a",)))
    assert tally.source_fps == 30
    image = np.zeros((10, 20, 3), np.uint8)
    for index in range(0, 60, 2):  # every second one was dropped
        tally.frame(FrameResult(Frame(index, index / 15, image), Detections.empty(1), []))
    assert tally.source_fps == pytest.approx(15)
