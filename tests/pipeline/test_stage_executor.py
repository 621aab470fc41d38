from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import MediaError
from edgekit.linking.registry import make_linker
from edgekit.pipeline.fair_semaphore import FairSemaphore
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.stage_executor import overlapped
from edgekit.runtime.types import Detections, Frame
from tests.waiting import LIMIT, wait_until


class Trouble(Exception):
    pass


class Source:
    name, width, height, fps, frames, live, reopens = "made", 8, 6, 25.0, None, False, False
    sample_aspect = 1.0

    def __init__(self, given, error=None, missing=0):
        self._given = list(given)
        self._error = error
        self._missing = missing
        self.position = 0

    def read(self):
        if not self._given:
            if self._error:
                raise self._error
            self.position += self._missing
            self._missing = 0
            return None
        frame = self._given.pop(0)
        self.position = frame.index + 1
        return frame


class Detector:
    """Sees in each frame what depends on the frames since the last reset."""

    classes = ("walk", "run")

    def __init__(self, fail_prepare=None, fail_infer=None):
        self._memory = 0
        self._fail_prepare, self._fail_infer = fail_prepare, fail_infer
        self.threads = {}

    def reset(self):
        self._memory = 0

    def recent_frames(self):
        return None

    def prepare(self, image, sample_aspect=1.0, earlier=None):
        self.threads["prepare"] = threading.current_thread()
        level = int(image[0, 0, 0])
        if level == self._fail_prepare:
            raise Trouble("prepare")
        self._memory = (7 * self._memory + level + 1) % 251
        return {"input": (level, self._memory)}, image.shape

    def infer(self, inputs):
        self.threads["infer"] = threading.current_thread()
        if inputs["input"][0] == self._fail_infer:
            raise Trouble("infer")
        return inputs

    def release(self, inputs):
        pass

    def decode(self, outputs, letterbox):
        self.threads["decode"] = threading.current_thread()
        seen = outputs["input"][1]
        boxes = np.array([[seen % 5, 1, 5 + seen % 7, letterbox[0]]], float)
        return Detections(boxes, np.array([[seen / 251, 0.5]]))


class Recorder:
    def __init__(self, stop_at=None, fail_at=None):
        self.calls = []
        self._stop_at, self._fail_at = stop_at, fail_at
        self.pipeline = None

    def start(self, info):
        self.calls.append(("start", info.source))

    def gap(self, gap):
        self.calls.append(("gap", gap))

    def frame(self, result):
        tubes = [tuple(map(repr, tube)) for tube in result.tubes]
        found = (result.detections.boxes.tolist(), result.detections.scores.tolist())
        frame = result.frame
        self.calls.append(("frame", frame.index, frame.time, found, tubes))
        if frame.index == self._fail_at:
            raise Trouble("sink")
        if frame.index == self._stop_at:
            self.pipeline.stop()

    def tube(self, tube):
        self.calls.append(("tube", tube.id, tube.start, tube.end, tube.score, tube.boxes.tolist()))

    def end(self, summary):
        self.calls.append(("end", summary.frames, summary.dropped, summary.interrupted))

    def close(self):
        self.calls.append(("close",))


def play(course, options, *, overlap, lanes=1):
    source = Source([Frame(*step) for step in course["frames"]], course["error"], course["missing"])
    sink = Recorder(course["stop_at"], course["sink"])
    linker = make_linker("edgekit", 2, max_misses=3, min_length=1)
    detector = Detector(course["prepare"], course["infer"])
    pipeline = Pipeline(source, detector, linker, [sink], overlap=overlap, lanes=lanes, **options)
    sink.pipeline = pipeline
    outcome = None
    try:
        summary = pipeline.run()
        assert set(summary.stages["network"].__slots__)
    except (Trouble, MediaError) as error:
        outcome = str(error)
    return sink.calls, outcome, detector


@st.composite
def courses(draw):
    frames, index = [], 0
    for number in range(draw(st.integers(0, 25))):
        index += draw(st.sampled_from([0, 0, 0, 0, 0, 1, 4]))
        size = draw(st.sampled_from([(6, 8)] * 6 + [(8, 8)]))
        reason = draw(st.sampled_from([""] * 6 + ["reconnect", "seek"]))
        frames.append((index, index / 25, np.full((*size, 3), number, np.uint8), reason))
        index += 1
    number = st.one_of(st.none(), st.integers(0, 25))
    rare = st.one_of(st.none(), st.none(), number)
    return {
        "frames": frames,
        "error": draw(st.sampled_from([None, None, MediaError("The file is damaged.")])),
        "missing": draw(st.integers(0, 2)),
        "stop_at": draw(rare),
        "sink": draw(rare),
        "prepare": draw(rare),
        "infer": draw(rare),
    }


@settings(max_examples=40, deadline=None)
@given(
    course=courses(),
    limit=st.one_of(st.none(), st.integers(1, 25)),
    duration=st.one_of(st.none(), st.floats(0.01, 1)),
    lanes=st.integers(1, 4),
)
def test_results_are_those_of_one_thread_whatever_happens(course, limit, duration, lanes):
    options = {"max_frames": limit, "duration": duration}
    before = set(threading.enumerate())
    expected, failed, one = play(course, options, overlap=False)
    found, also_failed, three = play(course, options, overlap=True, lanes=lanes)
    assert found == expected
    assert also_failed == failed
    assert set(threading.enumerate()) <= before
    assert len(set(one.threads.values())) <= 1
    assert len(set(three.threads.values())) == len(three.threads)


def numbers(count):
    yield from range(count)


def test_items_are_asked_for_only_when_the_one_before_is_in_the_step():
    """With a size of 1 a frame that is shown to the network was taken when its turn was next."""
    asked, steps = [], []
    release = threading.Semaphore(0)

    def items():
        for number in range(9):
            asked.append(number)
            yield [number]

    def step(item):
        steps.append(item[0])
        assert release.acquire(timeout=LIMIT)

    iteration = overlapped(items(), step, size=1)
    taker = threading.Thread(target=lambda: seen.extend(iteration))
    seen = []
    taker.start()
    for number in range(9):
        wait_until(lambda n=number: len(steps) > n and len(asked) >= min(n + 2, 9))
        time.sleep(0.005)
        assert len(asked) <= number + 2
        release.release()
    taker.join(LIMIT)
    assert seen == [[number] for number in range(9)]


@pytest.mark.parametrize("lanes", [1, 2])
def test_at_most_so_many_items_wait(lanes):
    asked = []

    def items():
        for number in range(100):
            asked.append(number)
            yield number

    iteration = overlapped(items(), lambda item: None, size=3, lanes=lanes)
    assert next(iteration) == 0
    # One was taken, three wait on each side, and each lane holds one. Lanes that finish out of
    # order need room for one more each, except the first.
    most = 1 + 3 + 3 + lanes + lanes - 1
    wait_until(lambda: len(asked) >= most)
    time.sleep(0.1)
    assert len(asked) == most
    iteration.close()


@pytest.mark.parametrize("place", ["items", "step"])
def test_errors_come_after_what_was_before_them(place):
    def items():
        yield from range(5)
        if place == "items":
            raise Trouble
        yield 5
        yield 6

    def step(item):
        if item == 5:
            raise Trouble

    seen = []
    before = set(threading.enumerate())
    with pytest.raises(Trouble):  # noqa: PT012
        for item in overlapped(items(), step, size=2):
            seen.append(item)
    assert seen == [0, 1, 2, 3, 4]
    assert set(threading.enumerate()) <= before


def test_lanes_work_at_once_and_the_order_is_kept():
    """The first item is the last to be done: all others wait for it, or for room."""
    inside, most, first = [], [], threading.Event()

    def step(item):
        inside.append(item)
        most.append(len(inside))
        if item == 0:
            assert first.wait(LIMIT)
        elif len(most) > 5:
            first.set()
        inside.remove(item)

    assert list(overlapped(numbers(30), step, size=2, lanes=3)) == [*range(30)]
    assert 2 <= max(most) <= 3


@pytest.mark.parametrize("failing", [0, 4, 11])
def test_an_error_in_a_lane_comes_in_its_place(failing):
    seen = []
    before = set(threading.enumerate())

    def step(item):
        time.sleep(0.002 * (item % 3 == 0))
        if item == failing:
            raise Trouble

    with pytest.raises(Trouble):  # noqa: PT012
        for item in overlapped(numbers(40), step, size=2, lanes=3):
            seen.append(item)
    assert seen == [*range(failing)]
    assert set(threading.enumerate()) <= before


def test_an_iteration_that_is_given_up_leaves_no_thread():
    before = set(threading.enumerate())
    iteration = overlapped(numbers(100), lambda item: None, size=1)
    assert next(iteration) == 0
    assert len(set(threading.enumerate()) - before) == 2
    iteration.close()
    assert set(threading.enumerate()) <= before
    # Nor one that was never begun.
    overlapped(numbers(100), lambda item: None, size=1).close()
    assert set(threading.enumerate()) <= before


def test_the_next_item_is_asked_for_when_the_one_before_has_its_turn():
    asked, turn = [], FairSemaphore()

    def items():
        for number in range(5):
            asked.append(number)
            yield number

    iteration = overlapped(items(), lambda item: None, size=1, turn=turn)
    found = []
    with turn:
        thread = threading.Thread(target=lambda: found.extend(iteration))
        thread.start()
        wait_until(lambda: turn.waiting)
        time.sleep(0.05)  # in which another could be asked for
        assert asked == [0]
    thread.join(LIMIT)
    assert found == [*range(5)]
