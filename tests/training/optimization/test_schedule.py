"""Learning rates over a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.training.optimization.schedule import rate_factor
from edgekit.training.settings import SCHEDULES


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(1, 1.0), (25, 1.0), (26, 0.1), (40, 0.1), (41, 0.01), (60, 0.01)],
)
@pytest.mark.parametrize("steps", [1, 7])
def test_steps_are_those_of_korsal(epoch: int, factor: float, steps: int) -> None:
    """The rate falls after epochs 25 and 40 of 60; the first and last step of an epoch agree."""
    total = 60 * steps
    assert rate_factor("steps", (epoch - 1) * steps, total) == pytest.approx(factor)
    assert rate_factor("steps", epoch * steps - 1, total) == pytest.approx(factor)


@given(total=st.integers(1, 5000), data=st.data(), schedule=st.sampled_from(SCHEDULES))
def test_factors_stay_in_range(total: int, data: st.DataObject, schedule: str) -> None:
    step = data.draw(st.integers(0, total - 1))
    assert 0 < rate_factor(schedule, step, total) <= 1


def test_a_cosine_rises_and_falls() -> None:
    factors = [rate_factor("cosine", step, 1000) for step in range(1000)]
    peak = factors.index(max(factors))
    assert 30 <= peak <= 50
    assert factors[:peak] == sorted(factors[:peak])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert factors[-1] == pytest.approx(0.01, rel=0.01)
