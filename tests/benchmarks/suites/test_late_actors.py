"""Tests how the suite ``late_actors`` counts actors, and how it links."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.benchmarks.suites.accuracy.late_actors import Count, linked
from edgekit.runtime.types import Detections, Tube


def tube(id, start, end, label=0, x=10.0):
    boxes = np.tile([x, 10, x + 20, 50], (end - start + 1, 1))
    ones = np.ones(len(boxes))
    return Tube(id, label, 0.8, start, end, boxes, ones, ones > 0)


def test_found_actors_false_tubes_and_delays_are_counted():
    true = [tube(-1, 10, 59), tube(-1, 10, 59, x=80), tube(-1, 10, 59, x=160)]
    tubes = [tube(0, 10, 59), tube(1, 8, 59, x=80), tube(2, 10, 59, label=1, x=160)]
    count = Count()
    count.add(true, tubes, {0: 14, 1: 8, 2: 12})
    assert count == Count(actors=3, found=2, false=1, shown=[4, 0])
    count.add([], tubes[:1], {0: 14})
    assert count == Count(actors=3, found=2, false=2, shown=[4, 0])


@pytest.mark.parametrize("every", [1, 3])
def test_an_actor_that_stood_still_is_linked_as_in_a_live_run(every):
    boxes = np.array([[10.0, 10, 40, 60]])
    scores = [0.05] * 150 + [0.5] * 60 + [0.05] * 30
    frames = [Detections(boxes, np.array([[score, 0.0]])) for score in scores]
    (found,), first = linked(frames, every)
    assert (found.label, found.start) == (0, 150 - every // 2)
    assert 150 < first[found.id] < 175
    assert linked(frames[:150], every) == ([], {})
