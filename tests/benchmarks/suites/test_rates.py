"""Tests the two scores for a camera that repeats pictures."""

from __future__ import annotations

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.accuracy.rates import frame_map_at_rate, frame_map_with_repeats
from edgekit.datasets.published import read_truth
from edgekit.datasets.relabelling import in_classes_of
from edgekit.detector import Detector
from edgekit.synthetic import write_dataset


def test_repeats_cost_what_a_longer_interval_does(tmp_path):
    write_dataset(tmp_path / "clips", [701], frames=24)
    with Detector(default_bundle()) as detector:
        truth = in_classes_of(detector.classes, read_truth("json", tmp_path / "clips"))
        full = frame_map_at_rate(detector, truth)
        by_then, shown = frame_map_with_repeats(detector, truth, 2)
    assert full > 0.5
    assert 0.3 < by_then <= shown <= full + 0.05
