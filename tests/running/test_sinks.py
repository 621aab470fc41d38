"""Tests the file of detections that a run writes, and what it counts."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.metrics.detections import read_detections
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.running.sinks import DetectionsSink, TubeTally
from edgekit.runtime.types import Detections, Frame, Tube


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


def test_of_many_tubes_the_hundred_best_are_kept_and_all_are_counted():
    tally = TubeTally()
    tally.start(RunInfo("camera", 20, 10, 30.0, None, ("walk", "run")))
    scores = np.random.default_rng(0).permutation(np.arange(150) // 2 / 100).tolist()  # in pairs
    for id, score in enumerate(scores):
        boxes, seen = np.zeros((3, 4)), np.ones(3, bool)
        tally.tube(Tube(id, id % 2, score, id, id + 2, boxes, np.zeros(3), seen))
    best = tally.best()
    assert tally.tubes == 150
    # Of equal scores the earlier tube comes first.
    expected = sorted(range(150), key=lambda id: (-scores[id], id))[:100]
    assert [tube["id"] for tube in best] == expected
    first = best[0]
    assert (first["name"], first["class"]) == (("walk", "run")[expected[0] % 2], expected[0] % 2)
    assert (first["start"], first["end"], first["score"]) == (expected[0], expected[0] + 2, 0.74)
