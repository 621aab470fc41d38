from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgekit import Detection, Detections
from edgekit.errors import OutOfRangeError, UsageError
from edgekit.runtime.types import Frame

NAMES = ("walk", "run", "jump")


def test_flat_lists_boxes_and_classes_best_first():
    boxes = np.array([[0, 0, 5, 5], [1, 1, 9, 9]], np.float32)
    scores = np.array([[0.2, 0.9, 0.0], [0.5, 0.2, 0.05]], np.float32)
    flat_boxes, classes, flat_scores = Detections(boxes, scores).flat(0.1)
    np.testing.assert_array_equal(flat_scores, np.float32([0.9, 0.5, 0.2, 0.2]))
    assert classes.tolist() == [1, 0, 0, 1]
    np.testing.assert_array_equal(flat_boxes, boxes[[0, 1, 0, 1]])


def test_nothing_found():
    nothing = Detections.empty(7)
    assert len(nothing) == 0
    boxes, classes, scores = nothing.flat()
    assert boxes.shape == (0, 4)
    assert len(classes) == len(scores) == 0
    assert list(nothing) == []
    assert len(nothing[[]]) == len(nothing[:]) == len(nothing.filter(3, 0.5)) == 0


def test_detections_have_at_most_65536_classes():
    assert Detections.empty(1 << 16).scores.shape == (0, 1 << 16)
    with pytest.raises(UsageError, match=r"classes to be .*65536; found 65537"):
        Detections.empty((1 << 16) + 1)


@st.composite
def detections(draw, names=NAMES):
    """Boxes that differ, each with a score above 0 in some class."""
    count = draw(st.integers(0, 6))
    unit = st.floats(0, 1, width=32)
    scores = draw(arrays(np.float32, (count, len(names)), elements=unit))
    boxes = draw(arrays(np.float32, (count, 4), elements=st.integers(0, 99), unique=True))
    kept = scores.max(axis=1, initial=0) > 0
    return Detections(boxes[kept], scores[kept], names)


def same(one: Detections, other: Detections) -> bool:
    return (
        np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.scores, other.scores)
        and one.classes == other.classes
    )


@given(detections(), st.data())
def test_rows_are_chosen_as_those_of_arrays_are(found, data):
    count = len(found)
    keys = [st.slices(count), arrays(np.bool_, count)]
    if count:
        keys.append(st.lists(st.integers(-count, count - 1)))
    key = data.draw(st.one_of(keys))
    rows = np.arange(count)[key if not isinstance(key, list) else np.array(key, np.intp)]
    assert same(found[key], Detections(found.boxes[rows], found.scores[rows], NAMES))
    assert [found[row] for row in range(count)] == list(found)
    assert list(found[key]) == [list(found)[row] for row in rows]


def test_a_row_names_its_best_class():
    boxes, scores = np.float32([[1, 2, 3, 4]]), np.float32([[0.25, 0.5, 0]])
    assert Detections(boxes, scores, NAMES)[0] == Detection([1, 2, 3, 4], 1, 0.5, "run")
    assert Detections(boxes, scores)[-1] == Detection([1, 2, 3, 4], 1, 0.5, "")
    assert Detections(boxes, scores).named(NAMES).classes == NAMES


@given(detections(), st.sets(st.sampled_from(NAMES)), st.floats(0, 1, width=32))
def test_a_filter_keeps_of_flat_what_it_says(found, classes, score):
    boxes, labels, scores = found.flat()
    kept = np.isin(labels, [NAMES.index(name) for name in classes]) & (scores >= score)
    result = found.filter(classes, score)
    assert result.scores.dtype == found.scores.dtype
    for one, other in zip(result.flat(), (boxes[kept], labels[kept], scores[kept]), strict=True):
        np.testing.assert_array_equal(one, other)
    assert same(result, found.filter([NAMES.index(name) for name in classes], score))
    assert same(result, found.filter(classes).filter(score=score))
    assert (result.scores.max(axis=1, initial=0) > 0).all()


@given(detections())
def test_supervision_and_back(found):
    pytest.importorskip("supervision", reason="the package supervision is not installed")
    there = found.to_supervision()
    boxes, labels, scores = found.flat()
    np.testing.assert_array_equal(there.xyxy, boxes)
    np.testing.assert_array_equal(there.confidence, scores)
    np.testing.assert_array_equal(there.class_id, labels)
    assert there.data["class_name"].tolist() == [NAMES[label] for label in labels]
    back = Detections.from_supervision(there, NAMES)
    by_box = np.lexsort(found.boxes.T), np.lexsort(back.boxes.T)
    assert same(found[by_box[0]], back[by_box[1]])


def test_without_supervision_it_says_how_to_install_it(monkeypatch):
    from edgekit.errors import MissingDependencyError

    monkeypatch.setitem(__import__("sys").modules, "supervision", None)
    with pytest.raises(MissingDependencyError, match="Run: pip install supervision"):
        Detections.empty(2).to_supervision()


class Foreign:
    """Has what EdgeKit reads of ``supervision.Detections``."""

    def __init__(self, **columns):
        self.xyxy = np.zeros((2, 4), np.float32)
        self.confidence = np.float32([0.5, 0.25])
        self.class_id = np.array([0, 2])
        self.__dict__.update(columns)


def test_rows_with_one_box_become_one():
    found = Detections.from_supervision(Foreign(), NAMES)
    assert found.boxes.tolist() == [[0, 0, 0, 0]]
    assert found.scores.tolist() == [[0.5, 0, 0.25]]
    for scores in ([0.5, 0.25], [0.25, 0.5]):
        twice = Foreign(class_id=np.array([1, 1]), confidence=np.float32(scores))
        assert Detections.from_supervision(twice, NAMES).scores.tolist() == [[0, 0.5, 0]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"xyxy": None}, "Expected xyxy to be an array .n, 4.; found None"),
        ({"xyxy": np.zeros((2, 5))}, r"found an array of float64 \(2, 5\)"),
        ({"confidence": None}, "Expected confidence to be an array of 2 numbers; found None"),
        ({"confidence": np.zeros(3)}, "Expected confidence to be an array of 2 numbers"),
        ({"class_id": np.array([0, 3])}, r"to be whole numbers from 0 to 2; found \[0, 3\]"),
        ({"class_id": np.array([0, 9])}, r"to be whole numbers from 0 to 2; found \[0, 9\]"),
        ({"class_id": np.array([0, -1])}, r"to be whole numbers from 0 to 2; found \[-1, 0\]"),
        ({"class_id": np.array([0.0, 1.0])}, "Expected class_id to be whole numbers"),
    ],
)
def test_wrong_foreign_detections_are_refused(columns, words):
    with pytest.raises(UsageError, match=words):
        Detections.from_supervision(Foreign(**columns), NAMES)
    with pytest.raises(UsageError, match="class names; found 'walk'"):
        Detections.from_supervision(Foreign(), "walk")


BOXES, SCORES = np.zeros((2, 4)), np.zeros((2, 3))


@pytest.mark.parametrize(
    "arguments",
    [
        (BOXES.tolist(), SCORES),
        (BOXES, None),
        (BOXES[:1], SCORES),
        (BOXES[:, :3], SCORES),
        (BOXES, SCORES[:, 0]),
        (BOXES, SCORES[:, :0]),
        (BOXES, SCORES, ("walk",)),
    ],
)
def test_wrong_shapes_are_refused(arguments):
    with pytest.raises(UsageError, match=r"Expected boxes as .* \(n, 4\).*\. Found boxes as"):
        Detections(*arguments)


@pytest.mark.parametrize(
    "key",
    ["0", 1.0, None, True, [True], [0.5], np.zeros((2, 2), bool), [[0], [0, 1]], slice("a", "b")],
)
def test_wrong_rows_are_refused(key):
    with pytest.raises(UsageError, match=r"Expected .*; found "):
        Detections(BOXES, SCORES)[key]


@pytest.mark.parametrize("key", [2, -3, [0, 2]])
def test_a_row_that_is_not_there_is_an_index_error_too(key):
    with pytest.raises(OutOfRangeError, match=r"from -2 to 1; found (2|-3)") as caught:
        Detections(BOXES, SCORES)[key]
    assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fly",), "one of the classes .walk, run, jump.; found 'fly'"),
        ((3,), "class index from 0 to 2; found 3"),
        (([None],), "class name or a class index; found None"),
        ((1.5,), "class name or a class index; found 1.5, of type float"),
        ((True,), "found True, of type bool"),
        ((None, "high"), "score to be a number; found 'high'"),
        ((None, np.nan), "score to be finite; found nan"),
    ],
)
def test_wrong_filters_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        Detections(BOXES, SCORES, NAMES).filter(*arguments)
    with pytest.raises(UsageError, match="do not know their class names"):
        Detections(BOXES, SCORES).filter("walk")


IMAGE = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"index": -1}, "frame.index to be at least 0; found -1"),
        ({"index": 1.5}, "frame.index to be a whole number; found 1.5"),
        ({"time": "0"}, "frame.time to be a number; found '0'"),
        ({"image": IMAGE[..., 0]}, "frame.image to be a BGR picture"),
        ({"image": None}, "frame.image to be a BGR picture"),
        ({"gap": None}, "frame.gap to be a reason as text; found None"),
        ({"sample_aspect": 0}, "frame.sample_aspect to be more than 0; found 0"),
        ({"sample_aspect": np.nan}, "frame.sample_aspect to be finite; found nan"),
        ({"earlier": IMAGE[..., :2]}, "frame.earlier to be a BGR picture"),
        ({"taken": "now"}, "frame.taken to be a number; found 'now'"),
    ],
)
def test_wrong_frames_are_refused(values, words):
    with pytest.raises(UsageError, match=words):
        Frame(**{"index": 0, "time": 0.0, "image": IMAGE} | values)


def test_a_frame_has_numbers_of_python_and_can_leave_its_pictures():
    frame = Frame(np.int64(3), np.float32(0.5), IMAGE, earlier=IMAGE)
    assert (type(frame.index), type(frame.time)) == (int, float)
    small = frame.without_pictures()
    assert (small.index, small.time, small.image.size, small.earlier) == (3, 0.5, 0, None)
    assert np.isnan(Frame(0, np.nan, IMAGE).time)  # as sources without a clock have it
