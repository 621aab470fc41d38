from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.metrics.average_precision import average_precision


def test_a_curve_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    hits = np.array([True, False, True, False])
    # Recall 1/4 at precision 1, then 2/4 at 2/3.
    assert average_precision(scores, hits, 4) == pytest.approx(0.25 + 0.25 * 2 / 3)


def test_nothing_found_is_nothing_and_nothing_to_find_is_undefined() -> None:
    nothing = np.array([])
    assert average_precision(nothing, nothing, 3) == 0
    assert math.isnan(average_precision(np.array([0.5]), np.array([False]), 0))


def test_scores_equal_in_single_precision_keep_their_order() -> None:
    scores = np.array([0.5, 0.5 + 1e-12])
    assert average_precision(scores, np.array([True, False]), 1) == 1


outcomes = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=30)


@given(outcomes, st.integers(0, 5))
def test_it_is_the_mean_of_the_best_precision_at_every_hit(
    outcome: list[tuple[float, bool]], missed: int
) -> None:
    scores, hits = (np.array(column) for column in zip(*outcome, strict=True))
    total = int(hits.sum()) + missed
    if not total:
        return
    ranked = hits[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    expected = sum(precision[i:].max() for i in np.flatnonzero(ranked)) / total
    found = average_precision(scores, hits, total)
    assert found == pytest.approx(expected)
    assert 0 <= found <= 1
