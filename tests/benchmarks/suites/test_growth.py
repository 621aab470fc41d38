"""Tests the calculations of the suites ``growth`` and ``beside_network``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.benchmarks.suites.speed.beside_network import beside
from edgekit.benchmarks.suites.speed.growth import DriftingPeaks, exponent, stages_of
from edgekit.benchmarks.suites.support.pinning import pinned
from edgekit.errors import UsageError

ASK = "import os; print(len(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'])"


@given(st.floats(0.1, 3), st.floats(1e-3, 10))
def test_the_exponent_is_that_of_the_power(power, factor):
    amounts = [10, 50, 200, 1000]
    assert exponent(amounts, [factor * n**power for n in amounts]) == pytest.approx(power)


@pytest.mark.parametrize("count", [10, 300])
def test_as_many_peaks_are_found_as_are_put_there(count):
    detector = DriftingPeaks(count, 3)
    heads = detector.infer({})
    _, letterbox = detector.prepare(None)
    found = detector.decode(heads, letterbox)
    strong = (found.scores > 0.3).sum()
    assert 0.75 * count <= strong <= count
    assert stages_of(detector, 4).keys() == {"decode", "link", "emit"}


def test_the_rest_is_added_up_frame_by_frame(make_lap):
    rest, share = beside([make_lap(network=7.5), make_lap(network=2.5), make_lap(network=22.5)])
    assert rest == pytest.approx(2.5)
    assert share == pytest.approx(0.25)


def test_processes_that_are_started_meanwhile_have_the_cores():
    before, said = os.sched_getaffinity(0), os.environ.get("OMP_NUM_THREADS")
    with pinned(1):
        shown = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True)
    assert shown.stdout.split() == [b"1", b"1"]
    assert (os.sched_getaffinity(0), os.environ.get("OMP_NUM_THREADS")) == (before, said)
    with pytest.raises(UsageError, match="10000 cores"), pinned(10_000):
        pass
