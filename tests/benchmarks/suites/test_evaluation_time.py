from __future__ import annotations

import numpy as np

from edgekit.benchmarks.suites.accuracy.evaluation_time import simulated
from edgekit.datasets.annotations import TruthTube, VideoTruth


def test_simulated_detections_are_near_their_tubes_and_the_same_again() -> None:
    boxes = np.tile([50.0, 60, 150, 200], (40, 1))
    video = VideoTruth("v", 60, 320, 240, [TruthTube(2, 10, boxes)], 2)
    found = simulated(video, 5, seed=1)
    assert len(found) == 60
    near = [
        (np.abs(frame.boxes - boxes[0]) < 30).all(axis=1) & (frame.scores[:, 2] >= 0.4)
        for frame in found
    ]
    seen = [number for number, rows in enumerate(near) if rows.any()]
    assert 10 <= min(seen) <= max(seen) < 50
    assert len(seen) > 20
    again = simulated(video, 5, seed=1)
    for one, other in zip(found, again, strict=True):
        assert one.boxes.tolist() == other.boxes.tolist()
        assert one.scores.tolist() == other.scores.tolist()
