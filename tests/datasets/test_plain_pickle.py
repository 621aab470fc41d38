"""Plain pickles are read as ``pickle`` reads them; all others are refused in a sentence."""

from __future__ import annotations

import collections
import contextlib
import datetime
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from edgekit.datasets._plain_pickle import MOST_OPERATIONS, UnreadablePickle, loads_plain

PROTOCOLS = range(6)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
NUMBERS = st_numpy.arrays(
    st_numpy.boolean_dtypes()
    | st_numpy.integer_dtypes(endianness="?")
    | st_numpy.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    st_numpy.array_shapes(min_dims=0, min_side=0),
)
DATA = st.recursive(
    VALUES | NUMBERS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and one.tobytes() == other.tobytes()
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or one != one)


@given(DATA, st.sampled_from(PROTOCOLS))
def test_plain_data_is_read_as_pickle_reads_it(data: Any, protocol: int) -> None:
    assert same(data, loads_plain(pickle.dumps(data, protocol)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scalars_ordered_dicts_and_what_is_named_twice(protocol: int) -> None:
    boxes = np.arange(8, dtype=np.int16).reshape(2, 4, order="F")
    scalars = [np.uint8(250), np.float32(0.5), np.str_("v_Biking"), np.bool_(True)]
    data = collections.OrderedDict(first=[boxes, boxes], scalars=scalars)
    found = loads_plain(pickle.dumps(data, protocol))
    assert found["scalars"] == [250, 0.5, "v_Biking", True]
    assert found["first"][0] is found["first"][1]
    assert same(found["first"][0], boxes)


def bomb(size: int) -> Any:
    """Nested tuples whose text, hash and elements are endless, in few bytes."""
    value: Any = (1.0,)
    for _ in range(size):
        value = (value, value)
    return value


def array(dtype: bytes, shape: bytes, raw: bytes) -> bytes:
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
        b"(K\x01" + shape + b"cnumpy\ndtype\n(" + dtype + b"K\x00K\x01tR"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + raw + b"tb."
    )


HUGE = b"\x8a\x06\xff\xff\xff\xff\xff\x7f"
REFUSED = {
    "object array": (array(b"U\x02O8", b"M\x00@\x85", b"]"), "'O8'"),
    "short state": (array(b"U\x02u1", b"M\x00@\x85", b"]"), "an array of list"),
    "void": (array(b"U\x02V8", b"K\x01\x85", b"C\x01a"), "'V8'"),
    "shape": (array(b"U\x02u1", b"M\x00@\x85", b"C\x01a"), "does not fit its 1 bytes"),
    "huge shape": (array(b"U\x02u1", HUGE + b"\x85", b"C\x01a"), "does not fit"),
    "empty huge shape": (array(b"U\x02u1", b"K\x00" + HUGE + b"\x86", b"C\x00"), "does not fit"),
    "negative shape": (array(b"U\x02u1", b"J\xff\xff\xff\xff\x85", b"C\x01a"), "does not fit"),
    "endless shape": (array(b"U\x02u1", pickle.dumps(bomb(60), 2)[2:-1], b"C\x01a"), "not fit"),
    "endless type": (array(pickle.dumps(bomb(60), 2)[2:-1], b"K\x01\x85", b"C\x01a"), "no text"),
    "memo": (b"\x80\x02]r\xff\xff\xff\x3f0.", "a memo of 1073741823 items in 10 bytes"),
    "memo of text": (b"]p99999999999\n.", "a memo of 99999999999 items"),
    "bytes": (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "expected 9223372036854775807"),
    "bytearray": (b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.", "expected 281474976710655"),
    "text": (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "byte count > sys.maxsize"),
    "number": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "not enough data in stream"),
    "negative length": (b"\x80\x02\x8b\xff\xff\xff\xff.", "long4 byte count < 0: -1"),
    "digits": (b"L" + b"9" * 100_000 + b"L\n.", "damaged"),
    "no end": (b"\x80\x02]", "exhausted before seeing STOP"),
    "nothing": (b"", "exhausted before seeing STOP"),
    "empty stack": (b"\x80\x020.", "damaged"),
    "global": (b"\x80\x02cos\nsystem\nU\x01a\x85R.", "names 'os.system', which is not allowed"),
    "object": (b"\x80\x02c__builtin__\nobject\n)\x81.", "names '__builtin__.object'"),
    "new object": (b"\x80\x02)\x81.", "operation NEWOBJ"),
    "extension": (b"\x80\x02\x82\x01.", "operation EXT1"),
    "persistent": (b"Pname\n.", "operation PERSID"),
    "set": (pickle.dumps({1, 2}, 4), "operation EMPTY_SET"),
    "key": (b"}" + pickle.dumps(bomb(60), 2)[2:-1] + b"K\x01s.", "keys that are neither text"),
    "called dict": (b"ccollections\nOrderedDict\n(]tR.", "a dict of 1 values"),
    "state": (b"ccollections\nOrderedDict\n)R}b.", "a state to a dict"),
    "operations": (b"]0" * MOST_OPERATIONS + b".", f"more than {MOST_OPERATIONS}"),
    "copies": (
        b"X" + struct.pack("<I", 100_000) + b"a" * 100_000 + b"q\x000"
        + b"c_codecs\nencode\n(h\x00U\x06latin1tR" * 1000 + b".",
        "more of its text than it has",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_takes_no_memory(name: str) -> None:
    content, message = REFUSED[name]
    tracemalloc.start()
    try:
        with pytest.raises(UnreadablePickle) as caught:
            loads_plain(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300
    assert peak < 1_000_000 + 20 * len(content)


@pytest.mark.parametrize("value", [datetime.date(2020, 1, 1), Path("a"), np.array([None]), 1j])
def test_what_else_a_pickle_needs_is_named(value: object) -> None:
    with pytest.raises(UnreadablePickle, match=r"it names '|'O8'"):
        loads_plain(pickle.dumps(value, 2))


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(UnreadablePickle):
        loads_plain(content)


WHOLE = pickle.dumps({"a": [np.arange(6).reshape(2, 3), np.float32(1), {"b": (1, "c")}]}, 4)


@given(st.data())
def test_damage_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(WHOLE)
    for place in data.draw(st.lists(st.integers(0, len(WHOLE) - 1), max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnreadablePickle):
        loads_plain(bytes(content))


def test_truncation_anywhere_is_refused() -> None:
    for end in range(len(WHOLE) - 1):
        with pytest.raises(UnreadablePickle):
            loads_plain(WHOLE[:end])
