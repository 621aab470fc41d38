from __future__ import annotations

import numpy as np

from edgekit.runtime.types import Detections


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
