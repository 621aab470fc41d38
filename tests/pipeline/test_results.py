"""Tests the results of a frame."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgekit.pipeline.results import FrameResult
from edgekit.runtime.selection import select
from edgekit.runtime.types import Detections, Frame

SCORES = st.sampled_from([0.0, 0.0005, 0.1, 0.3, 0.31, 0.5, 0.9])
CORNERS = st.integers(0, 30)


@given(st.data(), st.integers(0, 30), st.sampled_from([0.0, 0.1, 0.3, 0.6]))
def test_what_counts_is_what_all_of_the_frame_would_choose(data, count, score):
    corners = data.draw(arrays(np.float32, (count, 2), elements=CORNERS))
    sides = data.draw(arrays(np.float32, (count, 2), elements=st.integers(1, 20)))
    scores = data.draw(arrays(np.float32, (count, 3), elements=SCORES))
    found = Detections(np.hstack([corners, corners + sides]), scores)
    expected = [
        (found.boxes[row].tolist(), label, float(scores[row, label]))
        for label, picked in enumerate(select(found))
        for row in picked
        if scores[row, label] >= score
    ]
    frame = Frame(0, 0.0, np.zeros((1, 1, 3), np.uint8))
    chosen = FrameResult(frame, found, [], score=score).chosen()
    assert chosen == sorted(expected, key=lambda row: -row[2])
