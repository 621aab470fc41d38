"""Detects ONNX models that keep weights in other files, without importing onnx."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["names_other_files"]


_KINDS: dict[str, tuple[tuple[int, str], ...]] = {
    "model": ((7, "graph"), (20, "training"), (25, "function")),
    "training": ((1, "graph"), (2, "graph")),
    "function": ((7, "node"), (11, "attribute")),
    "graph": ((1, "node"), (5, "tensor"), (15, "sparse")),
    "node": ((5, "attribute"),),
    "attribute": (
        (5, "tensor"),
        (6, "graph"),
        (10, "tensor"),
        (11, "graph"),
        (22, "sparse"),
        (23, "sparse"),
    ),
    "sparse": ((1, "tensor"), (2, "tensor")),
    "tensor": (),
}
"""For each message type of onnx.proto, the fields that lead to tensors."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _GROUP, _END_GROUP, _FIXED32 = range(6)


def names_other_files(content: bytes) -> bool:
    """Returns whether any tensor of a model declares that its values are in another file.

    Args:
        content: Content of the model file. If it is not an ONNX model, the result is False,
            because no runtime reads such a file.
    """
    waiting = [("model", 0, len(content))]
    try:
        while waiting:
            kind, begin, end = waiting.pop()
            inner = dict(_KINDS[kind])
            for number, wire, first, last in _fields(content, begin, end):
                if kind == "tensor":
                    if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and first):
                        return True
                elif wire == _BYTES and number in inner:
                    waiting.append((inner[number], first, last))
    except (IndexError, ValueError):
        return False
    return False


def _fields(content: bytes, place: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields number, wire type and byte range of each field; for a varint, its value as start."""
    while place < end:
        key, place = _varint(content, place)
        number, wire = key >> 3, key & 7
        first, last = place, place
        if wire == _VARINT:
            first, place = _varint(content, place)
        elif wire == _FIXED64:
            place += 8
        elif wire == _FIXED32:
            place += 4
        elif wire == _BYTES:
            length, first = _varint(content, place)
            last = place = first + length
        elif wire not in (_GROUP, _END_GROUP):
            raise ValueError(f"wire type {wire} is unknown")
        if place > end:
            raise ValueError("a field extends past the end of its message")
        yield number, wire, first, last


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a varint is longer than the format allows")
