"""Tests the suite ``connection_flood`` with a few connections and a viewer."""

from __future__ import annotations

import pytest

pytest.importorskip("aiohttp")


def test_a_run_is_flooded_and_visited(tmp_path):
    from edgekit.benchmarks.suites.faults.connection_flood import play, write_clip

    clip = write_clip(tmp_path, 2500)
    calm = play(clip, 1.0, 0, 0, "--realtime", "--threads", "1")
    flooded = play(clip, 1.0, 8, 3, "--realtime", "--threads", "1")
    assert min(calm.rate, flooded.rate) > 0
    assert all(outcome.visits.health for outcome in (calm, flooded))
    assert calm.flood is None
    assert flooded.flood.opened >= 11
