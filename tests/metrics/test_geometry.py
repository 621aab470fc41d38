from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.metrics.geometry import to_xywh, tube_iou, tube_overlap
from edgekit.runtime.iou import xywh_iou


@pytest.mark.shared
def test_the_published_tube_overlaps(shared: Path) -> None:
    golden = json.loads((shared / "golden/primitives.json").read_text())
    for pair in golden["tube_iou"]:
        overlap = tube_iou(
            pair["gt_start"],
            np.array(pair["gt_xywh"]),
            pair["det_start"],
            np.array(pair["det_xywh"]),
        )
        assert overlap == pytest.approx(pair["iou"], abs=1e-6)


def test_boxes_turned_inside_out_overlap_nothing() -> None:
    box = np.array([0.0, 0, 10, 10])
    assert xywh_iou(box, box) == pytest.approx(1)
    assert xywh_iou(box, np.array([8.0, 8, -6, -6])) == 0
    assert xywh_iou(box, np.array([5.0, 5, 0, 0])) == 0


def test_corners_become_sizes_and_the_argument_stays() -> None:
    boxes = np.array([[1.0, 2, 4, 8]])
    assert to_xywh(boxes).tolist() == [[1, 2, 3, 6]]
    assert boxes.tolist() == [[1, 2, 4, 8]]


def test_tubes_overlap_in_time_and_in_space() -> None:
    truth = np.array([[1.0, 1, 10, 10]] * 4)  # frames 0 to 3
    found = np.array([[0.0, 0, 9, 9]] * 4)  # frames 2 to 5; it grows by a pixel and moves by one
    assert tube_iou(0, truth, 2, found) == pytest.approx(2 / 6)
    assert tube_overlap(0, truth, 2, found, growth=1.0) == pytest.approx((2 / 6, 1))
    assert tube_overlap(0, truth, 2, found, growth=0.0) == pytest.approx((2 / 6, 64 / 117))
    assert tube_overlap(0, truth, 3, found, growth=1.0) == (0, 0)  # they share a single frame
    assert tube_overlap(5, found, 0, truth, growth=1.0) == (0, 0)
