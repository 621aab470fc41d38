"""Tests the costs of linking on pairs that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.linking._association import Found, edge_scores
from edgekit.runtime.types import Detections


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        ("score", [0.8, 0.5]),
        ("similarity", [1.0, 0.5]),
        ("score-plus-similarity", [1.8, 1.0]),
    ],
)
def test_what_a_path_prefers(cost: str, expected: list[float]) -> None:
    scores = np.array([[0.8, 0.1], [0.5, 0.5]])
    found = Found(Detections(np.zeros((2, 4)), scores), [[0, 1], []], 0)
    last = [[0.8, 0.1], [0.1, 0.2]]  # equal; and 0.4 and 0.3 away, so 0.5 in all
    gains = edge_scores(cost, found, np.array([0, 1]), last)
    assert gains.tolist() == pytest.approx(expected)
