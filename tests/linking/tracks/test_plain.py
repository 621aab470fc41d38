"""Tests which detections the numpy form of the tracks uses."""

from __future__ import annotations

import numpy as np

from edgekit.linking.tracks.plain import _Found


def test_boxes_without_a_size_and_scores_that_are_none_are_left_out() -> None:
    boxes = np.array(
        [[0, 0, 10, 20], [5, 5, 5, 9], [9, 9, 1, 20], [0, 0, np.nan, 4], [1, 1, 3, 3], [2, 2, 8, 4]]
    )
    scores = np.array([[0.9, 0.1], [0.9, 0], [0.9, 0], [0.9, 0], [0, 0], [0.2, 0.6]])
    found = _Found.of(boxes, scores)
    assert found.boxes.tolist() == [[0, 0, 10, 20], [2, 2, 8, 4]]
    assert found.peak.tolist() == [0.9, 0.6]
    assert found.size.tolist() == [[10, 20], [6, 2]]
    assert np.allclose(found.measured[:, :2], [[5, 10], [5, 3]])
