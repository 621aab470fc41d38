"""Tests the reader of protocol buffers against messages written here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.files.protobuf import BYTES, VARINT, fields, varints


def varint(value):
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


NUMBERS = st.integers(0, 2**63)
FIELDS = st.lists(st.tuples(st.integers(1, 2**20), NUMBERS | st.binary(max_size=300)))


@given(FIELDS)
def test_fields_come_back(message):
    content = b""
    for number, value in message:
        if isinstance(value, int):
            content += varint(number << 3 | VARINT) + varint(value)
        else:
            content += varint(number << 3 | BYTES) + varint(len(value)) + value
    found = [
        (number, first if wire == VARINT else content[first:last])
        for number, wire, first, last in fields(content, 0, len(content))
    ]
    assert found == message


def test_higher_bits_of_a_key_are_dropped():
    content = varint(2**32 + (13 << 3 | VARINT)) + varint(5)
    assert [found[:3] for found in fields(content, 0, len(content))] == [(13, VARINT, 5)]


@given(st.lists(NUMBERS))
def test_packed_numbers_come_back(values):
    content = b"".join(map(varint, values))
    assert varints(content, 0, len(content)) == values


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"\x0a\x05abc", ValueError),  # a field of five bytes
        (b"\x0f", ValueError),  # wire type 7
        (b"\x08" + b"\xff" * 10, ValueError),
        (b"\x08\xff", IndexError),
    ],
)
def test_what_is_no_message(content, error):
    with pytest.raises(error):
        list(fields(content, 0, len(content)))
