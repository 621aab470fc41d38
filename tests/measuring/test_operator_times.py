"""Tests how the times of operators are made from the runs of a profiler."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import EdgeKitError
from edgekit.measuring.operator_times import OperatorProfiler, OperatorTime, measure_operators
from edgekit.measuring.peak import Peak, measure_peak


class Scripted(OperatorProfiler):
    """Tells given operators of each run, of which the first three are the warm-up."""

    def __init__(self, told: list[list[tuple[str, float]]]) -> None:
        self._told = told
        self.ran = 0

    def run(self, inputs: Any) -> None:
        self.ran += 1

    def finish(self, skipped: int) -> list[list[OperatorTime]]:
        runs = [
            [OperatorTime(name=name, type="Conv", ms=ms, macs=3, bytes=5) for name, ms in run]
            for run in self._told
        ]
        return runs[skipped:]


@given(rounds=st.integers(1, 12), operators=st.integers(1, 5))
def test_equal_runs_give_their_own_times_and_the_rest_is_outside(
    rounds: int, operators: int
) -> None:
    run = [(f"layer{place}", 0.5 + place) for place in range(operators)]
    profiler = Scripted([run] * (3 + rounds))
    calls: list[int] = []
    found = measure_operators(lambda: calls.append(1), profiler, {}, rounds)
    assert profiler.ran == len(calls) == 3 + rounds
    assert [(o.name, o.ms) for o in found.operators] == run
    total = sum(ms for _, ms in run)
    assert found.outside_ms == pytest.approx(found.profiled_ms - total)


def test_means_over_all_runs_are_taken_as_they_are() -> None:
    profiler = Scripted([[]] * 3 + [[("a", 1.0), ("b", 2.0)]])
    found = measure_operators(lambda: None, profiler, {}, 9)
    assert [(o.name, o.ms) for o in found.operators] == [("a", 1.0), ("b", 2.0)]


def test_operators_of_one_name_are_added_up() -> None:
    profiler = Scripted([[("a", 1.0), ("b", 2.0), ("a", 3.0)]] * 4)
    found = measure_operators(lambda: None, profiler, {}, 1)
    assert [(o.name, o.ms) for o in found.operators] == [("a", 4.0), ("b", 2.0)]


@pytest.mark.parametrize("told", [[], [[("a", 1.0)]] * 5, [[("a", 1.0)]] * 4 + [[]] * 3])
def test_an_empty_or_incomplete_profile_is_an_error(told: Any) -> None:
    with pytest.raises(EdgeKitError, match=r"profile of 4 inferences; found [0-2] with"):
        measure_operators(lambda: None, Scripted(told), {}, 4)


@given(st.floats(0.1, 1e3), st.floats(0.1, 1e3), st.integers(1, 10**9), st.integers(1, 10**9))
def test_the_roof_is_the_slower_of_both(gmacs: float, gbytes: float, macs: int, moved: int) -> None:
    peak = Peak(threads=1, gmacs=gmacs, gbytes=gbytes)
    both = peak.least_ms(macs, moved)
    alone = peak.least_ms(macs, 0), peak.least_ms(0, moved)
    assert both == max(alone)
    assert peak.is_bound_by_compute(macs, moved) == (alone[0] > alone[1])


def test_the_peak_of_this_machine() -> None:
    found = measure_peak(1)
    assert found.threads == 1
    assert found.gmacs > 0
    assert found.gbytes > 0
