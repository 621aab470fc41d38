"""Tests the count of detections that a quantized model gains, loses or moves."""

from __future__ import annotations

import numpy as np

from edgekit.benchmarks.suites.support.flicker import flicker

BOX = [10.0, 10.0, 50.0, 50.0, 0.9, 1.0]
MOVED = [30.0, 10.0, 70.0, 50.0, 0.9, 1.0]
OTHER_CLASS = [*BOX[:5], 2.0]


def rows(*detections):
    return np.array(detections, np.float32).reshape(-1, 6)


def test_equal_detections_do_not_flicker():
    assert flicker([rows(BOX), rows()], [rows(BOX), rows()]) == 0


def test_lost_and_gained_detections_count_once_and_moved_ones_twice():
    assert flicker([rows(BOX)], [rows()]) == 1
    assert flicker([rows(BOX), rows()], [rows(BOX), rows(MOVED)]) == 1
    assert flicker([rows(BOX)], [rows(MOVED)]) == 2
    assert flicker([rows(BOX)], [rows(OTHER_CLASS)]) == 2
