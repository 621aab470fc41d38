"""Tests the boxes of finished tubes where frames were not processed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.linking.tracker import OnlineLinker
from edgekit.linking.tracks.interpolation import beside_gaps
from edgekit.runtime.iou import pairwise_iou
from edgekit.runtime.types import Detections

SCORES = np.array([[0.02, 0.8]])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.sampled_from([1, 1, 1, 2, 3, 7]), min_size=2, max_size=50),
    st.sampled_from([0, 15]),
)
def test_a_detection_beside_an_unprocessed_frame_keeps_its_box(seed, gaps, delay):
    random = np.random.default_rng(seed)
    linker, given, live = OnlineLinker(2, min_length=1, delay=delay), {}, {}
    tubes, frame = [], 0
    for gap in gaps:
        corner = 50 + random.uniform(0, 8, 2)
        box = np.concatenate((corner, corner + random.uniform(30, 45, 2)))
        seen = random.random() > 0.2
        update = linker.update(Detections(box[None], SCORES) if seen else Detections.empty(2))
        given[frame] = box
        live.update(((tube.id, frame), tube.box) for tube in update.live)
        tubes += update.closed + linker.skip(gap - 1)
        frame += gap
    tubes += linker.finish()
    for tube in tubes:
        for place in np.flatnonzero(tube.observed).tolist():
            frame, box = tube.start + place, tube.boxes[place]
            gaps = [other for other in (frame - 1, frame + 1) if other not in given]
            if any(tube.start <= other <= tube.end for other in gaps):
                np.testing.assert_array_equal(box, given[frame])
            elif not gaps and not delay:
                np.testing.assert_allclose(box, live[tube.track, frame], rtol=1e-12)
        looks = (np.flatnonzero(tube.observed) + tube.start).tolist()
        for before, after in itertools.pairwise(looks if not delay else []):
            if all(frame in given for frame in range(before, after)):
                for frame in range(before + 1, after):
                    box = tube.boxes[frame - tube.start]
                    np.testing.assert_allclose(box, live[tube.track, frame], rtol=1e-12)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_turning_actor_is_found_as_well_in_one_frame_of_three_as_in_every_frame(first):
    """One who lies and stands by turns, as a diver does, within 12 frames."""
    angle = np.arange(60) * np.pi / 12
    half = 10 + 30 * np.abs(np.stack((np.cos(angle), np.sin(angle)), axis=1))
    truth = np.concatenate((100 - half, 100 + half), axis=1)
    overlaps = []
    for every in (1, 3):
        linker, tubes = OnlineLinker(2), []
        for frame, box in enumerate(truth):
            if (frame - first) % every:
                tubes += linker.skip(1)
            else:
                tubes += linker.update(Detections(box[None], SCORES)).closed
        tube = max(tubes + linker.finish(), key=lambda tube: tube.score)
        both = np.concatenate((tube.boxes, truth[tube.start : tube.end + 1]))
        overlaps.append(np.diagonal(pairwise_iou(both), len(tube.boxes)).mean())
    assert overlaps[1] >= overlaps[0]
    assert overlaps[1] > 0.8


def test_beside_gaps():
    passed = np.array([1, 1, 3, 1, 1, 2, 2, 1, 1])
    expected = [False, True, True, False, True, True, True, False, False]
    assert beside_gaps(passed).tolist() == expected
