from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekit.metrics.geometry import to_xywh, tube_iou
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
