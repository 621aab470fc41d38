from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.runtime import native
from edgekit.runtime.iou import pairwise_iou
from edgekit.runtime.native import selection as selecting
from edgekit.runtime.native.library import compiled
from edgekit.runtime.selection import (
    FRAME_AP,
    LINKING,
    SelectionRule,
    clamp_boxes,
    select,
)
from edgekit.runtime.types import Array, Detections


@pytest.mark.shared
def test_the_published_picks(shared: Path) -> None:
    golden = json.loads((shared / "golden/primitives.json").read_text())
    for case in golden["selection"]:
        boxes = np.array(case["boxes"]).reshape(-1, 4)
        detections = Detections(boxes, np.array(case["scores"]).reshape(-1, 1))
        assert select(detections) == [case["linker_pick"]]
        assert select(detections, FRAME_AP) == [case["frame_ap_pick"]]


def test_boxes_are_held_at_the_near_and_far_edges_only() -> None:
    boxes = np.array([[-3.0, -2.0, 400.0, 300.0], [350.0, 10.0, 360.0, 20.0]])
    clamped = clamp_boxes(boxes, (319, 239), offset=1)
    assert clamped.tolist() == [[1, 1, 320, 240], [351, 11, 320, 21]]
    assert boxes[0, 0] == -3.0


def test_degenerate_boxes_overlap_nothing() -> None:
    boxes = np.array([[5.0, 5, 5, 5], [5, 5, 5, 5], [9, 9, 2, 2], [0, 0, 10, 10]])
    iou = pairwise_iou(boxes)
    assert iou[:3].max() == 0
    assert iou[3, 3] == 1
    detections = Detections(boxes, np.array([[0.9], [0.8], [0.7], [0.6]]))
    assert select(detections) == [[0, 1, 2, 3]]


def test_suppression_is_strict_and_equal_scores_keep_their_order() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 0, 30, 10]])
    detections = Detections(boxes, np.full((3, 2), 0.5))
    assert select(detections, SelectionRule(overlap=0.5)) == [[0, 1, 2]] * 2
    assert select(detections, SelectionRule(overlap=0.49)) == [[0, 2]] * 2


def test_the_floor_is_strict_and_nothing_gives_nothing() -> None:
    boxes = np.zeros((1, 4))
    assert select(Detections(boxes, np.array([[0.001, 0.0011]]))) == [[], [0]]
    assert select(Detections.empty(3)) == [[], [], []]


def one_class(boxes: Array, scores: Array, rule: SelectionRule) -> list[int]:
    """Plain greedy suppression, box by box."""
    order = [i for i in np.argsort(-scores, kind="stable").tolist() if scores[i] > rule.floor]
    kept: list[int] = []
    iou = pairwise_iou(boxes)
    for box in order[: rule.candidates]:
        if all(iou[box, better] <= rule.overlap for better in kept):
            kept.append(box)
    return kept[: rule.keep]


@st.composite
def frames(draw: st.DrawFn) -> Detections:
    count, classes = draw(st.integers(0, 12)), draw(st.integers(1, 4))
    coordinate, score = st.integers(0, 8), st.sampled_from([0.0, 0.001, 0.3, 0.6, 0.9])
    boxes = [[draw(coordinate) for _ in range(4)] for _ in range(count)]
    scores = [[draw(score) for _ in range(classes)] for _ in range(count)]
    return Detections(np.array(boxes, float).reshape(-1, 4), np.array(scores).reshape(-1, classes))


@settings(max_examples=80, deadline=None)
@given(frames(), st.sampled_from([LINKING, SelectionRule(candidates=5, keep=2), FRAME_AP]))
def test_all_classes_at_once_equals_one_by_one(found: Detections, rule: SelectionRule) -> None:
    picks = select(found, rule)
    assert picks == [one_class(found.boxes, column, rule) for column in found.scores.T]


@settings(max_examples=60, deadline=None)
@given(frames())
def test_what_is_picked_does_not_overlap_and_stays_picked(found: Detections) -> None:
    iou = pairwise_iou(found.boxes)
    for label, picks in enumerate(select(found)):
        assert len(set(picks)) == len(picks) <= LINKING.keep
        scores = found.scores[picks, label].tolist()
        assert scores == sorted(scores, reverse=True)
        assert all(iou[a, b] <= LINKING.overlap for a in picks for b in picks if a != b)
        again = Detections(found.boxes[picks], found.scores[picks][:, [label]])
        assert select(again) == [list(range(len(picks)))]


@pytest.mark.skipif(native.setting().available == (native.NUMPY,), reason="no library was built")
@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 90),
    st.integers(1, 30),
    st.sampled_from([np.float32, np.float64]),
    st.builds(
        SelectionRule,
        floor=st.sampled_from([0.001, 0.1, 0.3]),
        candidates=st.sampled_from([1, 4, 50, 1000]),
        overlap=st.sampled_from([0.0, 0.25, 0.45, 1.0]),
        keep=st.sampled_from([1, 10, 100]),
    ),
)
def test_the_library_picks_what_numpy_picks(
    seed: int, count: int, classes: int, kind: type, rule: SelectionRule
) -> None:
    random = np.random.default_rng(seed)
    # Of few values, so that scores and overlaps are often equal to each other and to the limits.
    grid = int(random.integers(2, 20))
    boxes = random.integers(-grid, grid, (count, 4)) + random.choice([0.0, 1e-3], (count, 4))
    boxes[random.random((count, 4)) < random.choice([0.0, 0.02])] = np.nan
    scores = random.choice([0.0, 0.001, 0.1, 0.3, 0.31, 0.9, np.nan], (count, classes))
    found = Detections(boxes.astype(kind), scores.astype(kind))
    plain = kernel_picks("numpy", found, rule)
    assert kernel_picks("", found, rule) == plain


def kernel_picks(kernel: str, found: Detections, rule: SelectionRule) -> list[list[int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, kernel)
        return select(found, rule)


@pytest.mark.skipif(compiled() is None, reason="the compiled kernel was not built")
@pytest.mark.parametrize(
    ("boxes", "scores"), [((3, 5), (3, 2)), ((2, 4), (3, 2)), ((3, 4), (3,)), ((3, 4), (3, 2, 2))]
)
def test_the_library_is_not_called_with_boxes_that_do_not_fit(boxes, scores):
    rule = SelectionRule()
    limits = (rule.floor, rule.candidates, rule.overlap, rule.keep)
    with pytest.raises(ValueError, match="expected boxes"):
        selecting.picks(compiled(), np.zeros(boxes), np.zeros(scores), *limits)


@pytest.mark.parametrize("candidates", [0])
def test_a_rule_without_candidates_picks_nothing(candidates):
    detections = Detections(np.array([[0, 0, 9, 9.0]]), np.array([[0.5, 0.6]]))
    assert select(detections, SelectionRule(candidates=candidates)) == [[], []]
