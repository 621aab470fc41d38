"""The parts of a long live run."""

from __future__ import annotations

from edgekit.benchmarks.suites.faults.soak import spans_of


def test_a_part_has_no_percentile_above_its_largest_age():
    events = [
        {"type": "frame", "time": 0.1 * n, "age": float(n), "ms": {"network": 80.0}}
        for n in range(10)
    ]
    (first, second) = spans_of(events, 30, 0.5)
    assert (first.frames, second.frames) == (5, 5)
    assert first.age[0] == 2.0
    assert first.age[0] < first.age[1] <= first.age[2] == 4.0
