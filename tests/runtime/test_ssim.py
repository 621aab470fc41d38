"""Tests the range of values of shifted pictures by its definition."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.runtime.ssim import SHIFTS, ShiftedSsim

SIZE = (10, 12)
KEPT = {-1: slice(None, -1), 0: slice(None), 1: slice(1, None)}


@pytest.mark.parametrize("row", [0, 1, 4, 8, 9])
@pytest.mark.parametrize("column", [0, 1, 5, 10, 11])
def test_a_shift_leaves_out_the_rows_and_columns_that_it_pushes_away(row: int, column: int) -> None:
    picture = np.full((3, *SIZE), 100, np.uint8)
    picture[1, row, column] = 200
    found = ShiftedSsim(SIZE, np.zeros(3), np.ones(3))._data_ranges(picture)
    values = picture / 255
    expected = [np.ptp(values[:, KEPT[dy], KEPT[dx]]) for dy, dx in SHIFTS]
    assert found == pytest.approx(expected)
