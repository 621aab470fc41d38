"""Tests that scoring whole videos equals scoring frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.frame_detections import FrameDetections
from edgekit.metrics.frame_map import FRAME_IOU, match_frames
from edgekit.metrics.frame_selection import select_frames
from edgekit.metrics.geometry import to_xywh
from edgekit.runtime.iou import xywh_iou
from edgekit.runtime.selection import FRAME_AP, SelectionRule, select
from edgekit.runtime.types import Detections
from tests.metrics.analysis.made import random_tubes

CLASSES = 3
Frames = list[Detections | None]
Entry = tuple[int, float, bool]


def _video(seed: int, frames: int, most: int, places: int, kind: type) -> Frames:
    """Boxes at few places, so that many overlap and scores are equal."""
    random = np.random.default_rng(seed)
    found: Frames = []
    for _ in range(frames):
        count = int(random.integers(0, most + 1))
        corner = random.integers(0, places, (count, 2)) * 12.5
        boxes = np.concatenate((corner, corner + random.integers(-1, 3, (count, 2)) * 20 + 20), 1)
        scores = random.integers(0, 5, (count, CLASSES)) / 4 * (random.random((count, 1)) > 0.2)
        missing = random.random() < 0.1
        found.append(None if missing else Detections(boxes.astype(kind), scores.astype(kind)))
    return found


videos = st.builds(
    _video,
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.sampled_from([2, 5, 30]),
    st.sampled_from([2, 8]),
    st.sampled_from([np.float32, np.float64]),
)


@given(videos, st.sampled_from([FRAME_AP, SelectionRule(keep=2), SelectionRule(overlap=0.2)]))
def test_frames_selected_together_are_as_selected_one_by_one(
    frames: Frames, rule: SelectionRule
) -> None:
    joint = FrameDetections.of(frames, CLASSES)
    expected, first = [], 0
    for number, found in enumerate(frames):
        if found is not None:
            for label, pick in enumerate(select(found, rule)):
                expected += [(number, label, first + box) for box in pick]
            first += len(found)
    assert list(zip(*(column.tolist() for column in select_frames(joint, rule)), strict=True)) == (
        expected
    )


@given(videos)
def test_boxes_of_parts_of_a_pixel_are_selected_as_large_ones_are(frames: Frames) -> None:
    joint = FrameDetections.of(frames, CLASSES)
    small = FrameDetections(joint.boxes / 1024, joint.scores, joint.counts)
    for one, other in zip(*(select_frames(f, FRAME_AP) for f in (joint, small)), strict=True):
        np.testing.assert_array_equal(one, other)


def _one_by_one(
    frames: Frames, truth: Sequence[TruthTube], any_class: bool, growth: float
) -> list[Entry]:
    """Matches frame by frame, as the published code does."""
    rows: list[Entry] = []
    for number, found in enumerate(frames):
        if found is None:
            continue
        present = [tube for tube in truth if tube.start <= number <= tube.end]
        picks = select(found, FRAME_AP)
        hits = set()
        if present and len(found):
            boxes = to_xywh(found.boxes)
            boxes[:, 2:] += growth
            annotated = to_xywh(np.array([tube.boxes[number - tube.start] for tube in present]))
            iou = xywh_iou(boxes[:, None], annotated[None])
            free = set(range(len(present)))
            for label in sorted({tube.label for tube in present}):
                for box in picks[label]:
                    able = [i for i in sorted(free) if any_class or present[i].label == label]
                    best = max(able, key=lambda i: iou[box, i], default=None)
                    if best is not None and iou[box, best] >= FRAME_IOU:
                        free.discard(best)
                        hits.add((label, box))
        for label, pick in enumerate(picks):
            rows += [(label, float(found.scores[b, label]), (label, b) in hits) for b in pick]
    return rows


@given(videos, st.integers(0, 10**6), st.booleans(), st.sampled_from([0.0, 1.0]))
def test_a_video_is_matched_as_its_frames_are(
    frames: Frames, seed: int, any_class: bool, growth: float
) -> None:
    truth = random_tubes(seed, len(frames), CLASSES)
    found = match_frames(frames, truth, CLASSES, any_class=any_class, growth=growth)
    columns = (found.labels.tolist(), found.scores.tolist(), found.hits.tolist())
    assert list(zip(*columns, strict=True)) == _one_by_one(frames, truth, any_class, growth)
    seen = [0] * CLASSES
    for tube in truth:
        seen[tube.label] += sum(f is not None for f in frames[tube.start : tube.end + 1])
    assert found.total.tolist() == seen


@given(videos)
def test_frames_in_joint_arrays_are_the_frames(frames: Frames) -> None:
    joint = FrameDetections.of(frames, CLASSES)
    assert len(joint) == len(frames)
    assert FrameDetections.of(joint, CLASSES) is joint
    indexed = [joint[number] for number in range(len(frames))]
    for every in (list(joint), indexed, joint[:]):
        for one, other in zip(every, frames, strict=True):
            if one is None or other is None:
                assert one is other
            else:
                assert one.boxes.tolist() == other.boxes.tolist()
                assert one.scores.tolist() == other.scores.tolist()
    assert joint.frame.tolist() == [n for n, f in enumerate(frames) if f for _ in range(len(f))]
    with pytest.raises(IndexError):
        joint[len(frames)]


@given(videos, st.integers(0, 10**6))
def test_frames_without_an_annotated_box_may_be_ignored(frames: Frames, seed: int) -> None:
    truth = random_tubes(seed, len(frames), CLASSES)
    within = {n for tube in truth for n in range(tube.start, tube.end + 1)}
    emptied = [
        found if n in within or found is None else Detections.empty(CLASSES)
        for n, found in enumerate(frames)
    ]
    one = match_frames(frames, truth, CLASSES, any_class=False, annotated_only=True)
    other = match_frames(emptied, truth, CLASSES, any_class=False)
    for name in ("labels", "scores", "hits", "total"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
