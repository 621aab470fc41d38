from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.metrics.analysis.curves import RECALLS, precision_at_recalls, working_point
from edgekit.metrics.average_precision import average_precision

detections = st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=40)


def _arrays(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([row[0] / 8 for row in rows]), np.array([row[1] for row in rows], np.bool_)


@given(detections, st.integers(1, 60))
def test_the_curve_falls_and_has_the_ap_below_it(rows: list[tuple[int, bool]], more: int) -> None:
    scores, hits = _arrays(rows)
    total = int(hits.sum()) + more
    curve = precision_at_recalls(scores, hits, total)
    assert len(curve) == len(RECALLS)
    assert (np.diff(curve) <= 0).all()
    # The curve is sampled at the right end of each step of one hundredth.
    assert curve[1:].mean() <= average_precision(scores, hits, total) + 1e-9
    assert curve[:-1].mean() >= average_precision(scores, hits, total) - 1e-9


@given(detections, st.integers(0, 5))
def test_the_working_point_has_the_highest_f1(rows: list[tuple[int, bool]], more: int) -> None:
    scores, hits = _arrays(rows)
    total = int(hits.sum()) + more
    point = working_point(scores, hits, total)

    def f1(least: float) -> float:
        found = hits[scores >= least]
        return float(2 * found.sum() / (len(found) + total)) if total else 0.0

    best = max(map(f1, scores), default=0.0)
    if best == 0:
        assert point.score == float("inf")
        return
    assert f1(point.score) == pytest.approx(best)
    found = hits[scores >= point.score]
    assert point.precision == pytest.approx(found.mean())
    assert point.recall == pytest.approx(found.sum() / total)


def test_a_perfect_class() -> None:
    curve = precision_at_recalls(np.array([0.9, 0.8]), np.array([True, True]), 2)
    np.testing.assert_array_equal(curve, 1.0)
    point = working_point(np.array([0.9, 0.8]), np.array([True, True]), 2)
    assert (point.score, point.precision, point.recall) == (0.8, 1.0, 1.0)
