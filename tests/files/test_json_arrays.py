"""Tests that long arrays are read in pieces as they are read whole."""

import re

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.files.json_arrays import Name, array_pieces, boxes_in, name_limit, placed

BOXES = st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 4))


@given(BOXES, st.integers(1, 90))
def test_pieces_hold_all_items(boxes, block):
    content = memoryview(msgspec.json.encode(boxes))
    pieces = [*array_pieces(content, re.compile(rb"\]\s*,(?=\s*\[)"), block, 1 << 20)]
    assert [tuple(box) for piece in pieces for box in msgspec.json.decode(piece)] == boxes


@given(BOXES)
def test_boxes_are_read(boxes):
    found = boxes_in(msgspec.Raw(msgspec.json.encode(boxes)), len(boxes))
    assert np.array_equal(found, np.array(boxes, np.float64).reshape(-1, 4))


@pytest.mark.parametrize("count", [0, 1, 3, 10**12])
def test_another_number_of_boxes_is_refused(count):
    with pytest.raises(ValueError, match=f"2 boxes for {count} frames"):
        boxes_in(msgspec.Raw(b"[[0,0,1,1], [0,0,1,1]]"), count)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[[0,0,1,1],[0,0,1]]", r"at `\$\.boxes\[1\]`"),
        (b"3", r"at `\$\.boxes`"),
        (b"[[]", "length 4"),
    ],
)
def test_what_is_no_box_is_named(content, message):
    with pytest.raises((ValueError, msgspec.DecodeError), match=message):
        boxes_in(msgspec.Raw(content), 2)


def test_names_are_counted_while_they_are_decoded():
    decoder = msgspec.json.Decoder(dict[Name, list[Name]], dec_hook=name_limit(3))
    assert decoder.decode(b'{"a":["b","c"]}') == {"a": ["b", "c"]}
    with pytest.raises(msgspec.ValidationError, match="at most 3 names"):
        decoder.decode(b'{"a":[]}')
    with pytest.raises(msgspec.ValidationError, match="found int"):
        msgspec.json.decode(b"[5]", type=list[Name], dec_hook=name_limit(3))


def test_a_place_counts_from_the_first_item():
    assert placed("wrong - at `$[2].a`", "$.items", 40) == "wrong - at `$.items[42].a`"
