"""Tests how decoded detections are compared with a network's outputs."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from edgekit.bundle import DecodeSpec
from edgekit.errors import BoundError
from edgekit.runtime.decode import peaks
from edgekit.targets.verify import _check_found, _compare_rows

SIZE, TOP = 16, 6
SPEC = DecodeSpec(top_k=TOP)
PEAKS = {(0, 2, 3): 2.0, (0, 9, 12): 1.0, (1, 5, 5): 0.5, (1, 12, 2): 0.25, (0, 14, 6): 0.0}


def heads_of(found: dict[tuple[int, int, int], float]) -> dict[str, Any]:
    """Heads of two classes, whose heatmaps have these logits and are low elsewhere."""
    draws = np.random.default_rng(0)
    logits = np.full((1, 2, SIZE, SIZE), -12, np.float32)
    logits -= draws.random(logits.shape, np.float32)
    for place, value in found.items():
        logits[0][place] = value
    sizes = draws.uniform(1, 4, (1, 2, SIZE, SIZE)).astype(np.float32)
    offsets = draws.uniform(0, 1, (1, 2, SIZE, SIZE)).astype(np.float32)
    return {"hm": logits, "wh": sizes, "reg": offsets}


def difference(heads: dict[str, Any], found: Any, output: str = "scores") -> float:
    expected = peaks(heads, TOP, SPEC.stride)
    one, other = _compare_rows(expected, found, heads, SPEC)[output]
    return float(np.abs(one - other).max(initial=0))


def test_the_same_rows_in_any_order_do_not_differ():
    heads = heads_of(PEAKS)
    rows = peaks(heads, TOP, SPEC.stride)
    assert difference(heads, rows[::-1]) == pytest.approx(0, abs=1e-6)
    assert difference(heads, rows, "boxes") == pytest.approx(0, abs=1e-4)


def test_rounding_may_choose_the_neighbour_or_both():
    # As in torch, where both cells are equal, and in a runtime that rounds one of them down.
    heads = heads_of({**PEAKS, (0, 2, 4): 2.0})
    rows = peaks(heads, TOP, SPEC.stride)
    assert (rows[:2, 4] == rows[0, 4]).all()
    assert difference(heads, np.delete(rows, 0, 0)) == pytest.approx(0, abs=1e-6)
    # As in torch, where one is larger, and in a runtime where both are equal.
    heads = heads_of({**PEAKS, (0, 2, 4): 1.9999})
    assert difference(heads, rows) < 1e-4


def test_rounding_may_choose_any_of_a_plateau():
    # The first is the peak of torch; the last, which it does not touch, that of a runtime.
    plateau = {(0, 2, 3): 2.0, (0, 2, 4): 1.99999, (0, 2, 5): 1.99998}
    heads = heads_of({**PEAKS, **plateau})
    other = heads_of({**PEAKS, **dict(zip(plateau, reversed(plateau.values()), strict=True))})
    assert difference(heads, peaks(other, TOP, SPEC.stride)) < 1e-4


def test_rounding_may_choose_the_last():
    heads = heads_of({**PEAKS, (1, 2, 12): -1.0, (0, 6, 7): -1.0001})
    rows = peaks(heads, TOP + 1, SPEC.stride)
    assert len(rows) == TOP + 1
    assert 0 < difference(heads, np.delete(rows, TOP - 1, 0)) < 1e-4


@pytest.mark.parametrize("missing", range(len(PEAKS)))
def test_a_missing_peak_counts_with_its_score(missing):
    heads = heads_of(PEAKS)
    rows = peaks(heads, TOP, SPEC.stride)[: len(PEAKS)]
    found = np.delete(rows, missing, 0)
    assert difference(heads, found) == pytest.approx(rows[missing, 4], abs=1e-4)


def test_nothing_found_and_nothing_to_find():
    heads = heads_of(PEAKS)
    rows = peaks(heads, TOP, SPEC.stride)
    assert difference(heads, rows[:0]) == pytest.approx(rows[0, 4], abs=1e-4)
    assert difference(heads_of({}), rows[:0]) < 1e-4


def test_a_wrong_score_or_box_differs():
    heads = heads_of(PEAKS)
    rows = peaks(heads, TOP, SPEC.stride)
    rows[2, 4] -= 0.1
    assert difference(heads, rows) == pytest.approx(0.1, abs=1e-6)
    rows[3, 2] += 0.5
    assert difference(heads, rows, "boxes") == pytest.approx(0.5, abs=1e-4)


def test_a_cell_beside_its_peak_differs():
    heads = heads_of({**PEAKS, (0, 2, 4): 1.0})
    rows = peaks(heads, TOP, SPEC.stride)
    beside = peaks(heads_of({**PEAKS, (0, 2, 3): -9.0, (0, 2, 4): 1.0}), TOP, SPEC.stride)[0]
    found = np.concatenate([rows[:-1], beside[None]])
    assert difference(heads, found) == pytest.approx(rows[0, 4] - beside[4], abs=1e-6)


def test_a_repeated_row_differs():
    heads = heads_of(PEAKS)
    rows = peaks(heads, TOP, SPEC.stride)
    assert difference(heads, rows[[0, 0, 1, 2, 3, 4]]) == pytest.approx(rows[0, 4])


@pytest.mark.parametrize(
    ("column", "value"), [(5, 2), (5, -1), (5, np.nan), (5, 1e9), (4, 1.5), (4, np.inf)]
)
def test_what_is_no_detection_is_refused(column, value):
    rows = peaks(heads_of(PEAKS), TOP, SPEC.stride)
    _check_found(rows, 2)
    rows[1, column] = value
    with pytest.raises(BoundError, match=r"classes from 0 to 1 .* Nothing was written\.") as caught:
        _check_found(rows, 2)
    assert "decode_in='host'" in caught.value.hint


def test_a_box_that_is_no_number_differs():
    heads = heads_of(PEAKS)
    rows = peaks(heads, TOP, SPEC.stride)
    rows[1, 2] = np.nan
    assert np.isnan(difference(heads, rows, "boxes"))


def test_logits_of_any_size_have_a_score():
    heads = heads_of({(0, 2, 3): 200.0, (1, 5, 5): -200.0})
    heads["hm"][0, 1] = -300
    rows = peaks(heads, TOP, SPEC.stride)
    assert rows[0, 4] == 1
    assert difference(heads, rows) == 0


def test_many_rows_of_a_large_map_take_little_memory():
    draws = np.random.default_rng(0)
    side, top = 128, 1000
    heads = {
        "hm": draws.normal(-6, 2, (1, 3, side, side)).astype(np.float32),
        "wh": np.full((1, 2, side, side), 2, np.float32),
        "reg": np.full((1, 2, side, side), 0.5, np.float32),
    }
    rows = peaks(heads, top, SPEC.stride)
    assert len(rows) == top
    tracemalloc.start()
    try:
        one, other = _compare_rows(rows, rows, heads, DecodeSpec(top_k=top))["scores"]
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert most < 8 * sum(value.nbytes for value in heads.values())
