from __future__ import annotations

from edgekit.benchmarks.suites.faults.bundle_swaps import outcome_of


def change(outcome, sha256):
    return {"type": "bundle", "outcome": outcome, "bundle": {"sha256": sha256}}


def test_lost_frames_and_changes_out_of_order_are_counted():
    lines = [
        {"type": "start", "bundle": {"sha256": "a"}},
        {"type": "frame", "index": 0},
        change("running", "b"),
        {"type": "frame", "index": 1},
        change("refused", ""),
        {"type": "gap", "index": 4, "reason": "dropped", "frames": 2},
        {"type": "frame", "index": 4},
        change("running", "b"),
        {"type": "frame", "index": 5},
    ]
    found = outcome_of(lines)
    assert (found.frames, found.lost) == (4, 2)
    assert (found.running, found.refused, found.wrong) == (2, 1, 1)
