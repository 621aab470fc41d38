"""Reads MATLAB 5 files (``.mat``) of plain data: structures, cells, text and arrays of numbers.

Reading never takes more memory than the file's own values need: unpacked sizes, numbers of values,
nesting and shapes are checked before anything is built. Objects and functions are refused.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["UnreadableMat", "loads_mat"]

_HEAD = 128
_MOST_UNPACKED = 1 << 26
_MOST_ARRAYS = 200_000
"""Largest number of arrays; the annotations of UCF101-24 need 30,000."""
_MOST_ELEMENTS = 1_000_000
"""Largest number of elements; an array of numbers has four."""
_DEEPEST = 16

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
            13: "u8"}  # fmt: skip
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _PACKED = 14, 15
_CELL, _STRUCT, _CHAR, _FIRST_NUMBER, _LAST_NUMBER = 1, 2, 4, 6, 15


class UnreadableMat(ValueError):
    """A file holds more than plain data, or is no MATLAB 5 file; the message says what."""


def loads_mat(content: bytes) -> dict[str, Any]:
    """Returns the variables of a MATLAB 5 file.

    Arrays of numbers are numpy arrays of at least two dimensions, text is ``str``, a cell array is
    a list, and an array of structures is a list of dictionaries, in MATLAB's order.

    Raises:
        UnreadableMat: The file is damaged, of another version, or claims more than it has.
    """
    order = _byte_order(content)
    reader = _Reader(order)
    variables: dict[str, Any] = {}
    try:
        for kind, data in reader.elements(memoryview(content)[_HEAD:]):
            for name, value in reader.variables(kind, data):
                variables[name] = value
    except UnreadableMat:
        raise
    except (zlib.error, struct.error, ValueError, OverflowError, IndexError) as error:
        raise UnreadableMat(f"it is damaged ({error})") from error
    return variables


def _byte_order(content: bytes) -> str:
    if content[:8] == b"\x89HDF\r\n\x1a\n" or content.startswith(b"MATLAB 7.3"):
        raise UnreadableMat(
            "it has MATLAB's version 7.3 (HDF5), and version 5 was expected; in MATLAB, save it "
            "again with: save('-v7', ...)"
        )
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:128]), "")
    if not order or struct.unpack(f"{order}H", content[124:126])[0] != 0x0100:
        raise UnreadableMat("it is no MATLAB 5 file")
    return order


class _Reader:
    """Builds values, and counts what the file has left to claim."""

    def __init__(self, order: str) -> None:
        self._order = order
        self._unpacked = _MOST_UNPACKED
        self._arrays = _MOST_ARRAYS
        self._elements = _MOST_ELEMENTS

    def elements(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Yields the type and the bytes of each element."""
        place = 0
        while place + 8 <= len(data):
            self._elements -= 1
            if self._elements < 0:
                raise UnreadableMat(f"it has more than {_MOST_ELEMENTS} elements")
            kind, size = struct.unpack_from(f"{self._order}II", data, place)
            if kind >> 16:  # a small element: type, size and up to four bytes in eight
                kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
                place, most = place + 8, 4
            else:
                start, most = place + 8, len(data) - place - 8
                place = start + size
                if kind != _PACKED:
                    place += -size % 8
            if size > most:
                raise UnreadableMat(f"it claims {size} bytes where {most} are left")
            yield kind, data[start : start + size]

    def variables(self, kind: int, data: memoryview) -> Iterator[tuple[str, Any]]:
        """Yields the name and the value of each variable in an element of the file."""
        if kind == _PACKED:
            unpacker = zlib.decompressobj()
            plain = unpacker.decompress(data, self._unpacked + 1)
            self._unpacked -= len(plain)
            if self._unpacked < 0:
                raise UnreadableMat(f"it unpacks to more than {_MOST_UNPACKED} bytes")
            for inner, content in self.elements(memoryview(plain)):
                if inner == _MATRIX:
                    yield self._matrix(content, 0)
        elif kind == _MATRIX:
            yield self._matrix(data, 0)

    def _matrix(self, data: memoryview, depth: int) -> tuple[str, Any]:
        self._arrays -= 1
        if self._arrays < 0 or depth > _DEEPEST:
            raise UnreadableMat(
                f"it has more than {_MOST_ARRAYS} arrays, or nests them more than {_DEEPEST} deep"
            )
        if not data:
            return "", np.empty((0, 0))
        parts = list(self.elements(data))
        kind = struct.unpack_from(f"{self._order}I", parts[0][1])[0] & 0xFF
        sides = tuple(int(side) for side in self._numbers(parts[1]))
        if not 2 <= len(sides) <= 8 or min(sides) < 0:
            raise UnreadableMat("it has an array without a shape")
        name, rest = bytes(parts[2][1]).decode("latin-1"), parts[3:]
        count = math.prod(sides)
        if kind == _CELL:
            return name, self._cells(rest, count, depth)
        if kind == _STRUCT:
            return name, self._structures(rest, count, depth)
        if kind == _CHAR:
            return name, self._text(rest[0]) if rest else ""
        if _FIRST_NUMBER <= kind <= _LAST_NUMBER and len(rest) == 1:
            values = self._numbers(rest[0])
            if len(values) != count:
                raise UnreadableMat(f"it has {len(values)} numbers in an array of {count}")
            return name, values.reshape(sides, order="F")
        raise UnreadableMat(f"it has an array of MATLAB's class {kind}, which is no plain data")

    def _cells(self, rest: list[tuple[int, memoryview]], count: int, depth: int) -> list[Any]:
        if len(rest) != count or any(kind != _MATRIX for kind, _ in rest):
            raise UnreadableMat(f"it has {len(rest)} values for {count} places")
        return [self._matrix(data, depth + 1)[1] for _, data in rest]

    def _structures(self, rest: list[tuple[int, memoryview]], count: int, depth: int) -> list[Any]:
        width = int(self._numbers(rest[0])[0])
        if not 1 <= width <= 64:
            raise UnreadableMat(f"it has names of fields of {width} bytes")
        raw = bytes(rest[1][1])
        fields = [
            raw[place : place + width].split(b"\0")[0].decode("latin-1")
            for place in range(0, len(raw), width)
        ]
        values = self._cells(rest[2:], count * len(fields), depth)
        return [
            dict(zip(fields, values[place : place + len(fields)], strict=True))
            for place in range(0, count * len(fields), max(len(fields), 1))
        ]

    def _text(self, part: tuple[int, memoryview]) -> str:
        kind, data = part
        if kind not in _TEXT:
            raise UnreadableMat(f"it has text of MATLAB's type {kind}")
        codec = _TEXT[kind]
        wide = codec in ("utf-16", "utf-32")
        return bytes(data).decode(
            f"{codec}-{'le' if self._order == '<' else 'be'}" if wide else codec
        )

    def _numbers(self, part: tuple[int, memoryview]) -> np.ndarray[Any, np.dtype[Any]]:
        kind, data = part
        if kind not in _NUMBERS:
            raise UnreadableMat(f"it has numbers of MATLAB's type {kind}")
        return np.frombuffer(data, f"{self._order}{_NUMBERS[kind]}")
