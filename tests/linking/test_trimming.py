from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.linking.paths import LinkedPath
from edgekit.linking.trimming import label_frames, segments, trim
from edgekit.runtime.types import Array


def path_of(label: int, start: int, class_scores: Array) -> LinkedPath:
    length = len(class_scores)
    return LinkedPath(
        id=3,
        label=label,
        score=0.5,
        start=start,
        end=start + length - 1,
        boxes=np.tile([0.0, 0.0, 9.0, 9.0], (length, 1)),
        scores=class_scores[:, label],
        observed=np.ones(length, np.bool_),
        class_scores=class_scores,
        found_at=np.arange(start, start + length),
        path_score=1.0,
        last_found=0,
    )


@pytest.mark.shared
def test_the_published_labels_segments_and_scores(shared: Path) -> None:
    golden = json.loads((shared / "golden/trimming.json").read_text())
    checked = 0
    for case in golden["cases"]:
        rows = np.zeros((len(case["all_scores"]), golden["num_classes"]))
        for row, sparse in zip(rows, case["all_scores"], strict=True):
            row[[int(label) for label in sparse]] = list(sparse.values())
        for want in case["expected"]:
            (labelling,) = label_frames([rows], alpha=want["alpha"])
            assert labelling.labels.tolist() == want["pred_path"]
            np.testing.assert_allclose(labelling.values[-1], want["D_last"], atol=1e-6)
            found = segments(case["label"], labelling)
            assert [s.first for s in found] == want["ts"]
            assert [s.last for s in found] == want["te"]
            for segment, action, whole in zip(
                found, want["dp_action_score"], want["dp_path_score"], strict=True
            ):
                action = math.nan if action is None else action
                assert segment.action_score == pytest.approx(action, abs=1e-6, nan_ok=True)
                assert segment.path_score == pytest.approx(whole, abs=1e-6)
            path = path_of(case["label"], case["start"], rows)
            tubes = trim([path], alpha=want["alpha"])
            assert [t.score for t in tubes] == pytest.approx(want["eval_score"], abs=1e-6)
            assert [t.start for t in tubes] == want["eval_first"]
            assert [t.end for t in tubes] == want["eval_last"]
            checked += 1
    assert checked


def exhaustive(scores: Array, alpha: float) -> float:
    frames, classes = scores.shape
    return max(
        sum(scores[t, label] + 20 for t, label in enumerate(labels))
        - alpha * sum(a != b for a, b in itertools.pairwise(labels))
        for labels in itertools.product(range(classes), repeat=frames)
    )


quarter = st.integers(0, 4).map(lambda n: n / 4)


@st.composite
def score_tables(draw: st.DrawFn) -> list[Array]:
    classes = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    return [
        np.array([[draw(quarter) for _ in range(classes)] for _ in range(frames)])
        for frames in lengths
    ]


@settings(max_examples=60, deadline=None)
@given(score_tables(), st.sampled_from([0.0, 0.25, 0.5, 3.0]))
def test_no_sequence_of_labels_is_better(tables: list[Array], alpha: float) -> None:
    for scores, labelling in zip(tables, label_frames(tables, alpha=alpha), strict=True):
        labels = labelling.labels.tolist()
        reached = sum(scores[t, label] + 20 for t, label in enumerate(labels))
        reached -= alpha * sum(a != b for a, b in itertools.pairwise(labels))
        assert reached == labelling.values[-1].max() == exhaustive(scores, alpha)


def first_best(scores: Array, alpha: float) -> list[int]:
    """The recurrence as it is written, with the first arg-max everywhere."""
    frames, classes = scores.shape
    values, before = [scores[0] + 20], []
    for t in range(1, frames):
        step = [[values[-1][k] - alpha * (k != i) for k in range(classes)] for i in range(classes)]
        before.append([int(np.argmax(row)) for row in step])
        values.append(scores[t] + 20 + np.max(step, axis=1))
    labels = [int(np.argmax(values[-1]))]
    for row in reversed(before):
        labels.append(row[labels[-1]])
    return labels[::-1]


@settings(max_examples=80, deadline=None)
@given(score_tables(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_ties_go_to_the_first_label(tables: list[Array], alpha: float) -> None:
    for scores, labelling in zip(tables, label_frames(tables, alpha=alpha), strict=True):
        assert labelling.labels.tolist() == first_best(scores, alpha)


def test_segments_shorter_than_asked_are_left_out() -> None:
    scores = np.zeros((30, 2))
    scores[:9, 0] = scores[20:, 0] = 0.9
    scores[9:20, 1] = 0.9
    path = path_of(0, 100, scores)
    assert [(t.start, t.end) for t in trim([path], alpha=0.1)] == [(120, 129)]
    assert [(t.start, t.end) for t in trim([path], alpha=0.1, min_frames=9)] == [
        (100, 108),
        (120, 129),
    ]


def test_segments_without_a_score_are_left_out() -> None:
    assert trim([path_of(0, 100, np.zeros((30, 2)))]) == []
    assert len(trim([path_of(0, 100, np.full((30, 2), 1e-9))])) == 1


def test_no_path_no_tube() -> None:
    assert trim([]) == []


@pytest.mark.parametrize(("observed", "age"), [([1, 1, 1, 1], 0), ([1, 1, 0, 0], 2), ([0] * 4, 4)])
def test_the_age_counts_the_frames_since_the_last_detection(observed: list[int], age: int) -> None:
    path = replace(path_of(0, 5, np.full((4, 2), [0.9, 0.0])), observed=np.array(observed, bool))
    (tube,) = trim([path], min_frames=1)
    assert (tube.start, tube.end, tube.age) == (5, 8, age)
