from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit import LiveTube, Tube, Tubes
from edgekit.errors import OutOfRangeError, UsageError

NAMES = ("walk", "run", "jump")
CORNER = st.integers(0, 99).map(float)


@st.composite
def live_tubes(draw):
    count = draw(st.integers(0, 5))
    score = st.floats(0, 1, width=32)
    box = st.lists(CORNER, min_size=4, max_size=4)
    number = st.integers(0, 9)
    own = st.tuples(st.integers(0, 2), score, box, number, number, number)
    return [LiveTube(id, *draw(own)) for id in range(count)]


def ended(label=0, score=0.5):
    return Tube(7, label, score, 0, 0, np.zeros((1, 4)), np.ones(1), np.ones(1, np.bool_))


@given(live_tubes(), st.data())
def test_rows_are_chosen_as_those_of_arrays_are(live, data):
    tubes, count = Tubes(live, NAMES, [ended()]), len(live)
    assert list(tubes) == live
    assert [tubes[row] for row in range(count)] == live
    key = data.draw(st.slices(count))
    assert list(tubes[key]) == live[key]
    assert tubes[key].classes == NAMES
    mask = [data.draw(st.booleans()) for _ in live]
    chosen = [live[row] for row in range(count) if mask[row]]
    assert list(tubes[np.array(mask, np.bool_)]) == chosen
    rows = data.draw(st.lists(st.integers(-count, count - 1))) if count else []
    assert list(tubes[rows]) == [live[row] for row in rows]


@given(live_tubes())
def test_the_columns_are_those_of_the_tubes(live):
    tubes = Tubes(live, NAMES)
    assert tubes.ids.tolist() == [tube.id for tube in live]
    assert tubes.boxes.tolist() == [tube.box for tube in live]
    assert tubes.boxes.shape == (len(live), 4)
    assert tubes.labels.tolist() == [tube.label for tube in live]
    assert tubes.scores.tolist() == [tube.score for tube in live]
    assert tubes.observed.tolist() == [tube.age == 0 for tube in live]
    assert tubes.names == [NAMES[tube.label] for tube in live]
    assert Tubes(live).names == [""] * len(live)


@given(live_tubes(), st.sets(st.sampled_from(NAMES)), st.floats(0, 1))
def test_a_filter_keeps_classes_and_scores(live, classes, score):
    closed = [ended(0, 0.25), ended(1, 0.75)]
    tubes = Tubes(live, NAMES, closed).filter(classes, score)

    def remains(tube):
        return NAMES[tube.label] in classes and tube.score >= score

    assert list(tubes) == list(filter(remains, live))
    assert tubes.closed == list(filter(remains, closed))
    assert list(Tubes(live).filter(1)) == [tube for tube in live if tube.label == 1]


@given(live_tubes())
def test_supervision_and_back(live):
    pytest.importorskip("supervision", reason="the package supervision is not installed")
    there = Tubes(live, NAMES).to_supervision()
    assert there.tracker_id.tolist() == [tube.id for tube in live]
    assert there.data["class_name"].tolist() == [NAMES[tube.label] for tube in live]
    assert list(Tubes.from_supervision(there, NAMES)) == live


class Foreign:
    """Has what EdgeKit reads of the detections of another tracker."""

    def __init__(self, **columns):
        self.xyxy = np.float32([[1, 2, 3, 4]])
        self.confidence, self.class_id = np.float32([0.5]), np.array([2])
        self.tracker_id = np.array([9])
        self.__dict__.update(columns)


def test_tubes_of_another_tracker():
    (tube,) = Tubes.from_supervision(Foreign(), NAMES)
    assert tube == LiveTube(9, 2, 0.5, [1, 2, 3, 4], 0, 0, 1)
    (tube,) = Tubes.from_supervision(Foreign(data={"hits": [4]}), NAMES)
    assert tube.hits == 4
    for wrong in (
        {"tracker_id": None},
        {"data": {"age": [1, 2]}},
        {"data": {"hits": ["a"]}},
        {"data": {"start": [1.5]}},
    ):
        with pytest.raises(UsageError, match=r"Expected (tracker_id|age|hits|start) to be "):
            Tubes.from_supervision(Foreign(**wrong), NAMES)
    nothing = Foreign(
        xyxy=np.zeros((0, 4)), confidence=np.zeros(0), class_id=np.zeros(0, int), tracker_id=None
    )
    assert list(Tubes.from_supervision(nothing, NAMES)) == []  # it has no ids without tubes


LIVE = LiveTube(0, 1, 0.5, [0.0, 0.0, 1.0, 1.0], 0, 0, 3)


def test_wrong_types_are_refused():
    with pytest.raises(UsageError, match="Expected LiveTube objects; found 5, of type int"):
        Tubes(5)
    with pytest.raises(UsageError, match="Expected LiveTube objects; found"):
        Tubes([(0, 1)])
    with pytest.raises(UsageError, match="Expected Tube objects; found LiveTube"):
        Tubes([LIVE], NAMES, [LIVE])
    with pytest.raises(UsageError, match="class indices from 0 to 0; found 1"):
        Tubes([LIVE], ["walk"])
    with pytest.raises(OutOfRangeError, match="from -1 to 0; found 1"):
        Tubes([LIVE])[1]
    with pytest.raises(UsageError, match="a mask of 1 bools; found 2"):
        Tubes([LIVE])[[True, False]]
    with pytest.raises(UsageError, match="one of the classes"):
        Tubes([LIVE], NAMES).filter("fly")
