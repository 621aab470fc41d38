"""Reads the fields of protocol buffers, such as ONNX files, without a package for them."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["BYTES", "VARINT", "fields", "varints"]

VARINT, _FIXED64, BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)
"""Numbers of the wire types."""

_KEY = (1 << 32) - 1


def fields(content: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields number, wire type and byte range of each field; for a varint, its value as start.

    Args:
        content: Content of a file.
        place: Place in it where a message begins.
        end: Place where the message ends.

    Raises:
        ValueError: This is no message.
        IndexError: The content ends within a number.
    """
    while place < end:
        # Most numbers are one byte, and a call for each takes a third of the time.
        key, place = content[place], place + 1
        if key > 0x7F:
            key, place = _varint(content, place - 1)
        key &= _KEY  # as the library of protocol buffers drops higher bits
        number, wire = key >> 3, key & 7
        first, last = place, place
        if wire == VARINT:
            first, place = _varint(content, place)
        elif wire == _FIXED64:
            place += 8
        elif wire == _FIXED32:
            place += 4
        elif wire == BYTES:
            length, first = content[place], place + 1
            if length > 0x7F:
                length, first = _varint(content, place)
            last = place = first + length
        elif wire not in (_GROUP, _END_GROUP):
            raise ValueError(f"wire type {wire} is unknown")
        if place > end:
            raise ValueError("it ends within a field")
        yield number, wire, first, last


def varints(content: bytes, place: int, end: int) -> list[int]:
    """Returns numbers that stand one after the other; ``fields`` has arguments and errors."""
    found = []
    while place < end:
        value, place = _varint(content, place)
        found.append(value)
    return found


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a varint is longer than the format allows")
