from __future__ import annotations

import threading

import numpy as np
import pytest

from edgekit import Annotator, Detections, Frame, FrameResult, LiveTube, Tubes
from edgekit.errors import UsageError

NAMES = ("walk", "run")


def tube(**changes):
    usual = LiveTube(0, 1, 0.5, [10.0, 10.0, 60.0, 90.0], 0, 0, 3)
    return usual._replace(**changes)


def frame(index=0):
    return Frame(index, index / 25, np.full((120, 160, 3), 80, np.uint8))


def test_frame_and_tubes_give_the_picture_of_the_sinks():
    own, sinks = Annotator(NAMES), Annotator(NAMES)
    for index in range(5):
        tubes = [tube(box=[10.0 + 9 * index, 10.0, 60.0 + 9 * index, 90.0])]
        drawn = own.draw(frame(index), Tubes(tubes, NAMES))
        expected = sinks.draw_result(FrameResult(frame(index), Detections.empty(2), tubes))
        np.testing.assert_array_equal(drawn, expected)
    assert (drawn != 80).any()


def test_a_picture_is_copied_and_trails_go_on_without_frames():
    with_frames, with_pictures = Annotator(NAMES), Annotator(NAMES)
    for index in range(3):
        tubes, image = [tube(box=[9.0 * index, 10.0, 60.0, 90.0])], frame().image
        drawn = with_pictures.draw(image, tubes)
        np.testing.assert_array_equal(drawn, with_frames.draw(frame(index), tubes))
        assert (image == 80).all()


def test_a_class_without_a_name_is_shown_by_its_index():
    named = Annotator(["class 0", "class 1"]).draw(frame(), [tube()])
    np.testing.assert_array_equal(Annotator().draw(frame(), [tube()]), named)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((frame().without_pictures(), []), "frame.image to be a BGR picture"),
        ((None, []), "frame to be a BGR picture, an array of uint8 .H, W, 3.; found None"),
        ((np.zeros((4, 4, 3)), []), "found an array of float64"),
        ((np.zeros((4, 4), np.uint8), []), "found an array of uint8"),
        ((np.zeros((0, 4, 3), np.uint8), []), "found an array of uint8"),
        ((frame(), None), "LiveTube objects; found None"),
        ((frame(), [1]), "LiveTube objects; found 1"),
        ((frame(), [tube(box=[1.0])]), "box of four finite numbers; found .1.0."),
        ((frame(), [tube(box=[np.nan] * 4)]), "box of four finite numbers"),
    ],
)
def test_wrong_types_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        Annotator(NAMES).draw(*arguments)
    with pytest.raises(UsageError, match="sequence of class names; found 'walk'"):
        Annotator("walk")


def test_a_frame_may_be_drawn_twice_with_other_tubes():
    annotator = Annotator(("walk",))
    annotator.draw(frame(3), [tube(id=0)])
    again = annotator.draw(frame(3), [tube(id=1)])
    np.testing.assert_array_equal(again, Annotator(("walk",)).draw(frame(3), [tube(id=1)]))


def test_several_threads_may_draw():
    annotator, failures = Annotator(("walk",)), []

    def draw(first):
        try:
            for index in range(first, first + 100):
                annotator.draw(frame(index), [tube(id=index % 5 + first)])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=draw, args=(1000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
