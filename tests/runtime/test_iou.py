"""Tests each rule of IoU on boxes that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.runtime.iou import (
    last_pixel_iou,
    pairwise_iou,
    touching_pairs,
    unordered_iou,
    with_last_pixel,
    xywh_iou,
)

# 8 wide and 4 high; 4 wide and 6 high; they share 2 by 3. A third one is far away.
ONE, OTHER, FAR = [0.0, 1, 8, 5], [6.0, 2, 10, 8], [90.0, 90, 95, 95]
IOU = 6 / (32 + 24 - 6)


def test_continuous_boxes() -> None:
    found = pairwise_iou(np.array([ONE, OTHER, FAR]))
    assert found == pytest.approx(np.array([[1, IOU, 0], [IOU, 1, 0], [0, 0, 1]]))
    assert unordered_iou(np.array([ONE, OTHER]), np.array([OTHER, FAR])) == pytest.approx(
        np.array([[IOU, 0], [1, 0]])
    )
    assert unordered_iou(np.array([[8.0, 5, 0, 1]]), np.array([OTHER])) == pytest.approx(IOU)


def test_pairs_that_touch() -> None:
    first, second = np.array([ONE, FAR]), np.array([FAR, OTHER, ONE])
    rows, columns, iou = touching_pairs(first, second, 0.1)
    assert (rows.tolist(), columns.tolist()) == ([0, 0, 1], [1, 2, 0])
    assert iou.tolist() == pytest.approx([IOU, 1, 1], abs=1e-6)
    assert touching_pairs(first, second, 0.5)[1].tolist() == [2, 0]


def test_boxes_that_include_their_last_pixel() -> None:
    others = np.stack(with_last_pixel(*np.array([[OTHER, FAR]]).transpose(2, 0, 1)))
    # 9 by 5 and 5 by 7 pixels share 3 by 4.
    assert last_pixel_iou(np.array([ONE]), others) == pytest.approx(np.array([[12 / 68, 0]]))


def test_boxes_of_corner_and_size() -> None:
    one, other = np.array([0.0, 1, 8, 4]), np.array([[6.0, 2, 4, 6], [90, 90, 5, 5]])
    assert xywh_iou(one, other) == pytest.approx(np.array([IOU, 0]))
