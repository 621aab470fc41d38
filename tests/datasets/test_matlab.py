from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgekit.datasets._matlab import UnreadableMat, loads_mat

NUMBERS = arrays.arrays(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int32, np.int64, np.float32, np.float64]),
    arrays.array_shapes(min_dims=2, max_dims=3, max_side=4),
)


def written(value: Any, packed: bool) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, {"value": value}, do_compression=packed)
    return file.getvalue()


@given(NUMBERS, st.booleans())
def test_numbers_are_what_scipy_writes(values: np.ndarray[Any, Any], packed: bool) -> None:
    found = loads_mat(written(values, packed))["value"]
    assert found.shape == values.shape
    assert np.array_equal(found, values, equal_nan=values.dtype.kind == "f")


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1), st.booleans())
def test_structures_cells_and_text_are_read(text: str, packed: bool) -> None:
    cell = np.empty((1, 2), object)
    cell[0, 0], cell[0, 1] = text, np.array([[1.5, 2.5]])
    (found,) = loads_mat(written({"name": text, "inner": {"cell": cell}}, packed))["value"]
    assert found["name"] == text
    first, second = found["inner"][0]["cell"]
    assert first == text
    assert second.tolist() == [[1.5, 2.5]]


@given(st.binary(max_size=200), st.integers(0, 400))
def test_whatever_is_broken_is_refused(noise: bytes, place: int) -> None:
    good = written({"name": "walk", "boxes": np.ones((3, 4), np.uint8)}, False)
    broken = good[: 128 + place] + noise + good[128 + place + len(noise) :]
    with contextlib.suppress(UnreadableMat):
        loads_mat(broken)


def test_what_unpacks_without_end_is_refused() -> None:
    packed = zlib.compress(bytes(1 << 27))
    head = written(np.ones((1, 1)), False)[:128]
    with pytest.raises(UnreadableMat, match="unpacks to more than"):
        loads_mat(head + struct.pack("<II", 15, len(packed)) + packed)


def test_many_small_elements_are_refused() -> None:
    inner = struct.pack("<IIIIII", 6, 8, 1, 0, 5, 8) + struct.pack("<IIII", 1, 1, 1, 0)
    content = struct.pack("<II", 14, len(inner) + 16_000_000) + inner + bytes(16_000_000)
    with pytest.raises(UnreadableMat, match="more than 1000000 elements"):
        loads_mat(written(np.ones((1, 1)), False)[:128] + content)


@pytest.mark.parametrize("side", [np.inf, np.nan, 1e300])
def test_sides_that_are_no_whole_numbers_are_refused(side: float) -> None:
    inner = struct.pack("<IIIIIIdd", 6, 8, 6, 0, 9, 16, side, 1.0) + struct.pack(
        "<IIII", 1, 0, 9, 0
    )
    with pytest.raises(UnreadableMat):
        loads_mat(
            written(np.ones((1, 1)), False)[:128] + struct.pack("<II", 14, len(inner)) + inner
        )


def test_what_nests_without_end_is_refused() -> None:
    value: Any = np.ones((1, 1))
    for _ in range(40):
        outer = np.empty((1, 1), object)
        outer[0, 0] = value
        value = outer
    with pytest.raises(UnreadableMat, match="nests"):
        loads_mat(written(value, False))
