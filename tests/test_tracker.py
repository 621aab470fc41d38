from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from edgekit import Detections, Tracker, Tubes
from edgekit.errors import UsageError
from edgekit.linking.registry import LINKS, make_linker

NAMES = ("walk", "run")


def found(index, *, count=2, seed=0):
    """Two actors that move, with noise between them."""
    random = np.random.default_rng((seed, index))
    boxes = np.array([[10, 10, 40, 80], [120, 20, 160, 90]], np.float32)[:count] + index
    scores = random.uniform(0.4, 0.9, (count, 2)).astype(np.float32)
    return Detections(boxes, scores)


def plain(tubes):
    return [(t.id, t.label, t.score, t.start, t.end, t.boxes.tolist()) for t in tubes]


@pytest.mark.parametrize("link", LINKS)
def test_it_gives_the_tubes_of_the_linker(link):
    tracker, linker = Tracker(link, NAMES, max_misses=2), make_linker(link, 2, max_misses=2)
    for index in range(26):  # the last tube has not ended
        detections = found(index) if index % 10 < 6 else Detections.empty(2)
        tubes, update = tracker.update(detections), linker.update(detections)
        assert isinstance(tubes, Tubes)
        assert (list(tubes), tubes.classes) == (update.live, NAMES)
        assert plain(tubes.closed) == plain(update.closed)
        assert all(tube.name == NAMES[tube.label] for tube in tubes.closed)
    ended = tracker.finish()
    assert ended
    assert plain(ended) == plain(linker.finish())
    assert all(tube.name == NAMES[tube.label] for tube in ended)
    assert tracker.finish() == []


def test_frames_not_looked_at_are_counted_by_the_index():
    one, other = Tracker("edgekit", NAMES), Tracker("edgekit", 2)
    for index in (0, 1, 2, 7, 8, 300, 301, 302):
        tubes = one.update(found(index), index / 25, index=index)
        closed = other.skip(index - other._next)
        same = other.update(found(index), index / 25)
        assert list(tubes) == list(same)
        assert plain(tubes.closed) == plain([*closed, *same.closed])
    assert tubes[0].start == 300
    assert [tube.name for tube in one.finish()] != [tube.name for tube in other.finish()]


def test_held_frames_and_another_size():
    tracker = Tracker("edgekit", NAMES, min_hits=2)
    tracker.update(found(0))
    assert len(tracker.update(found(0))) == 2
    assert tracker.hold(500) == []
    assert len(tracker.update(found(0), index=502)) == 2
    ended = tracker.resize((640, 480))
    assert [tube.end for tube in ended] == [502, 502]
    assert len(tracker.update(found(0))) == 0


def test_frames_out_of_order_are_refused():
    tracker = Tracker("edgekit", NAMES)
    tracker.update(found(0), 1.0, index=5)
    for time, index, words in (
        (1.1, 5, "in order, with index 6 or higher; found 5"),
        (1.1, 0, "in order, with index 6 or higher; found 0"),
        (0.9, 6, "in order, at 1 seconds or later; found 0.9"),
    ):
        with pytest.raises(UsageError, match=words) as caught:
            tracker.update(found(1), time, index=index)
        assert caught.value.hint
    tracker.update(found(1), 1.1, index=6)  # a refused frame changed nothing
    tracker.finish()
    for call in (
        lambda: tracker.update(found(2)),
        lambda: tracker.skip(1),
        lambda: tracker.hold(1),
        lambda: tracker.resize((1, 1)),
    ):
        with pytest.raises(UsageError, match="has finished and accepts no more frames"):
            call()


def test_threads_are_served_one_after_the_other():
    """Each frame of a thread is processed as a whole; none is lost."""
    tracker = Tracker("edgekit", NAMES, min_hits=1)
    begin = threading.Barrier(4)

    def work(_):
        begin.wait()
        return [len(tracker.update(found(0))) for _ in range(100)]

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(work, range(4)))
    assert counts == [[2] * 100] * 4
    assert [(tube.start, tube.end) for tube in tracker.finish()] == [(0, 399)] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"link": "best"},
            "link to be one of edgekit, road, korsal-hold, korsal-motion; found 'best'",
        ),
        ({"link": None}, "found None"),
        ({"classes": 0}, "classes to be at least 1; found 0"),
        ({"classes": "walk"}, "a sequence of class names; found 'walk'"),
        ({"classes": [1, 2]}, "a sequence of class names"),
        ({"classes": ()}, "at least one class"),
        ({"score": "0.5"}, "score to be a number; found '0.5', of type str"),
        ({"min_hits": 0}, "min_hits to be at least 1; found 0"),
        ({"min_hits": 2.0}, "min_hits to be a whole number; found 2.0, of type float"),
        ({"max_misses": True}, "max_misses to be a whole number"),
        ({"max_gap": float("nan")}, "max_gap to be at least 0; found nan"),
        ({"min_length": -1}, "min_length"),
        ({"delay": 1.5}, "delay to be"),
        ({"delay_seconds": "1"}, "delay_seconds to be"),
        ({"history": 0}, "history to be"),
        ({"frame_size": 320}, "frame_size to be a pair .width, height. in pixels; found 320"),
        ({"frame_size": (320, 0)}, "frame_size to be at least 1; found 0"),
        ({"cost": "speed", "link": "road"}, "speed"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        Tracker(**{"link": "edgekit", "classes": NAMES} | arguments)


BOXES, SCORES = np.zeros((1, 4)), np.ones((1, 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None,), "Expected detections to be edgekit.Detections; found None"),
        (([[0, 0, 1, 1]],), "Expected detections to be edgekit.Detections; found"),
        ((Detections.empty(3),), "Expected scores of 2 classes; found 3"),
        ((Detections(BOXES + np.nan, SCORES),), "infinite or NaN"),
        ((Detections(BOXES, -SCORES),), "scores from 0 to 1; found -1"),
        ((Detections(BOXES, SCORES * np.nan),), "scores from 0 to 1; found nan"),
        ((Detections(BOXES, SCORES), "0.1"), "time to be a number; found '0.1'"),
        ((Detections(BOXES, SCORES), np.inf), "time to be finite; found inf"),
    ],
)
def test_wrong_frames_are_refused(arguments, words):
    tracker = Tracker("edgekit", NAMES)
    with pytest.raises(UsageError, match=words):
        tracker.update(*arguments)
    with pytest.raises(UsageError, match=r"index to be a whole number; found 1\.5"):
        tracker.update(Detections.empty(2), index=1.5)
    for call in (tracker.skip, tracker.hold):
        with pytest.raises(UsageError, match="frames to be at least 0; found -1"):
            call(-1)
    with pytest.raises(UsageError, match="frame_size"):
        tracker.resize(None)
