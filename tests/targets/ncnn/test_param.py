"""Tests the reader and writer of ncnn's text format."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.targets.ncnn.param import NcnnLayer, Value, read_param, write_param

ONE = b"7767517\n1 1\nInput in 0 1 a 0=8 1=8 2=3\n"

words = st.text("abcdefgXYZ0123456789._-/", min_size=1, max_size=20)
integers = st.integers(-(2**31), 2**31 - 1)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)
numbers = st.one_of(integers, floats)
values: st.SearchStrategy[Value] = st.one_of(
    numbers, st.lists(numbers, max_size=4).map(lambda found: tuple(found))
)
layers = st.builds(
    NcnnLayer,
    kind=words,
    name=words,
    inputs=st.lists(words, max_size=3).map(tuple),
    outputs=st.lists(words, max_size=3).map(tuple),
    values=st.dictionaries(st.integers(0, 31), values, max_size=5),
)


def single(value: Value) -> Value:
    """A value as ncnn has it: floats with 8 digits."""
    if isinstance(value, tuple):
        return tuple(n if isinstance(n, int) else float(f"{n:.8g}") for n in value)
    return value if isinstance(value, int) else float(f"{value:.8g}")


@given(st.lists(layers, min_size=1, max_size=5))
def test_what_is_written_is_read_again(made: list[NcnnLayer]) -> None:
    text = write_param(made)
    found = read_param(text.encode())
    for one, other in zip(found, made, strict=True):
        assert (one.kind, one.name, one.inputs, one.outputs) == (
            other.kind,
            other.name,
            other.inputs,
            other.outputs,
        )
        assert one.values == {key: single(value) for key, value in other.values.items()}
        kinds = {key: type(value) for key, value in one.values.items()}
        assert kinds == {key: type(value) for key, value in other.values.items()}
    assert write_param(found) == text


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_way(content: bytes) -> None:
    for text in (content, ONE + content, ONE[:-1] + content):
        try:
            read_param(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begin with 7767517"),
        (b"7767516\n1 1\n", "begin with 7767517"),
        ("7767517\n1 1\nInput é 0 0\n".encode(), "not ASCII"),
        (b"7767517\n", "does not announce 0 layers"),
        (b"7767517\n2 1\nInput in 0 1 a\n", "does not announce 1 layers and 1 blobs"),
        (b"7767517\n1 1\nInput in 0\n", "line 3: it is not a layer"),
        (b"7767517\n1 1\n" + b"I" * 201 + b" in 0 1 a\n", "line 3: it is not a layer"),
        (b"7767517\n1 1\nInput in 0 1 " + b"a" * 201 + b"\n", "name of a blob is too long"),
        (b"7767517\n1 1\nInput in 0 -1 a\n", "fewer than 0 inputs and -1 outputs"),
        (b"7767517\n1 1\nInput in 9999 1 a\n", "fewer than 9999 inputs"),
        (b"7767517\n1 1\nInput in x 1 a\n", "are not numbers"),
        (b"7767517\n1 1\nInput in 0 1 a 0=\n", "'' is not a number"),
        (b"7767517\n1 1\nInput in 0 1 a 0=99999999999\n", "is not a number"),
        (b"7767517\n1 1\nInput in 0 1 a 0=1.0000000000001\n", "is not a number"),
        (b"7767517\n1 1\nInput in 0 1 a 0=nan\n", "is not a number"),
        (b"7767517\n1 1\nInput in 0 1 a 0=0x10\n", "is not a number"),
        (b"7767517\n1 1\nInput in 0 1 a -1=4\n", "is not a parameter"),
        (b"7767517\n1 1\nInput in 0 1 a 32=4\n", "is not a parameter"),
        (b"7767517\n1 1\nInput in 0 1 a -23300=3,1,2\n", "does not have 3 members"),
        (b"7767517\n1 1\nInput in 0 1 a -23300=-1\n", "does not have -1 members"),
        (b"7767517\n1 1\nInput in 0 1 a 0=1 0=2\n", "parameter 0 twice"),
        (b"7767517\n1 1\n" + b"Input in 0 0\n" * 2001, "2001 layers, more than 2000"),
        (b"7767517\n" + b" " * (1 << 20), "bytes, more than"),
    ],
)
def test_what_is_no_model(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_param(content)


def test_a_number_of_another_kind() -> None:
    layer = NcnnLayer("ReLU", "a", ("x",), ("y",), {0: 0.5, 1: (1, 2)})
    assert layer.whole(3, 7) == 7
    for key in (0, 1):
        with pytest.raises(ValueError, match=f"parameter {key} to be an integer"):
            layer.whole(key)


def test_floats_have_a_mark() -> None:
    layer = NcnnLayer("Clip", "a", ("x",), ("y",), {0: 0.0, 1: float(np.float32(1e9)), 2: (6.0, 1)})
    assert write_param([layer]).split("\n")[2].endswith("0=0.0 1=1e+09 -23302=2,6.0,1")
