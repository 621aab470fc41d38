from __future__ import annotations

import json

import numpy as np
import pytest

from edgekit.linking.published import LiveTube
from edgekit.media.page.timeline import Timeline
from edgekit.pipeline.results import FrameResult, Gap
from edgekit.runtime.types import Detections, Frame, Tube

IMAGE = np.zeros((4, 4, 3), np.uint8)


def frame_of(index, *tubes):
    return FrameResult(Frame(index, index / 10, IMAGE), Detections.empty(2), tubes)


def live(id=1, *, age=0, start=0, hits=3, label=0, score=0.5):
    return LiveTube(id, label, score, [0.0, 0.0, 1.0, 1.0], age, start, hits)


def ended(id=1, start=0, observed=(1, 1, 1)):
    length = len(observed)
    seen = np.array(observed, bool)
    boxes = np.zeros((length, 4))
    return Tube(id, 1, 0.75, start, start + length - 1, boxes, np.ones(length), seen)


def test_a_tube_grows_as_it_is_drawn():
    timeline = Timeline(10.0)
    for index in range(2, 10):
        timeline.frame(frame_of(index, live(age=2 if index in (5, 6) else 0, hits=index + 1)))
    told = timeline.to_json()
    json.dumps(told)
    (tube,) = told["tubes"]
    assert told["now"] == 9
    assert tube["alive"]
    assert (tube["start"], tube["end"]) == (0, 9)
    assert tube["runs"] == [[2, 4, True], [5, 6, False], [7, 9, True]], "none before it was shown"


def test_a_tube_that_ends_keeps_the_boxes_that_were_drawn():
    timeline = Timeline(10.0)
    for index in range(6):
        timeline.frame(frame_of(index, *([live()] if index < 4 else [])))
    timeline.tube(ended(observed=(1, 0, 1)))
    (tube,) = timeline.to_json()["tubes"]
    assert not tube["alive"]
    assert (tube["label"], tube["score"], tube["end"]) == (1, 0.75, 2)
    assert tube["runs"] == [[0, 3, True]]
    timeline.tube(ended(7))
    assert len(timeline.to_json()["tubes"]) == 1, "one that was never shown is none"


@pytest.mark.parametrize(("real", "told"), [(25.0, 25.0), (26.0, 25.0), (10.0, 10.0), (60.0, 60.0)])
def test_a_minute_is_one_also_if_the_source_has_another_rate_than_it_declares(real, told):
    timeline = Timeline(25.0)
    assert timeline.to_json()["fps"] == 25
    for index in range(6000):
        id = index // 10
        timeline.frame(
            FrameResult(Frame(index, index / real, IMAGE), Detections.empty(2), [live(id)])
        )
        timeline.tube(ended(id, start=index))
    found = timeline.to_json()
    assert found["fps"] == pytest.approx(told)
    assert min(tube["end"] for tube in found["tubes"]) >= 5999 - 60 * told - 10


def test_times_that_mean_nothing_leave_the_declared_rate():
    for times in ([0.0] * 40, [float("nan")] * 40, [-float(n) for n in range(40)]):
        timeline = Timeline(25.0)
        for index, seconds in enumerate(times):
            timeline.frame(FrameResult(Frame(index, seconds, IMAGE), Detections.empty(2), []))
        assert timeline.to_json()["fps"] == 25


def test_a_limited_rate_leaves_the_bar_of_a_whole_minute():
    timeline = Timeline(25.0)
    for index in range(0, 1500, 5):
        timeline.gap(Gap(index, "fps", 4))
        timeline.frame(frame_of(index, live(hits=index + 1)))
    (tube,) = timeline.to_json()["tubes"]
    assert tube["runs"] == [[0, 1495, True]]


def test_living_tubes_come_first_and_what_is_old_is_forgotten():
    timeline = Timeline(10.0)
    timeline.frame(frame_of(0, live(1), live(2)))
    timeline.tube(ended(1))
    timeline.frame(frame_of(1, live(2), live(3)))
    assert [tube["id"] for tube in timeline.to_json()["tubes"]] == [3, 2, 1]
    timeline.frame(frame_of(700, live(2)))
    assert [tube["id"] for tube in timeline.to_json()["tubes"]] == [2]


def test_of_two_tubes_on_one_actor_the_drawn_one_has_the_boxes():
    timeline = Timeline(10.0)
    timeline.frame(frame_of(0, live(1, score=0.4), live(2, score=0.6)))
    assert [tube["runs"] for tube in timeline.to_json()["tubes"]] == [[[0, 0, True]], []]


def test_gaps_are_reported_with_what_is_missing():
    timeline = Timeline(10.0)
    timeline.gap(Gap(30, "reconnect", 20))
    timeline.gap(Gap(40, "fps", 4))
    assert timeline.to_json()["gaps"] == [[10, 30, "reconnect"]]
    assert timeline.to_json()["now"] == 40


def test_it_does_not_grow_with_the_run():
    timeline = Timeline(10.0)
    for index in range(3000):
        timeline.frame(frame_of(index, live(index), live(-1, age=index % 2)))
    assert len(json.dumps(timeline.to_json())) < 12_000
