"""DEVICE. Checks whether a file has the structure of a TFLite model.

The older interpreters trust every offset in a file and crash the process on a wrong one.
ai_edge_litert checks first, as this module does. Table names and field numbers are those of the
published schema (``tensorflow/lite/schema.fbs``).
"""

from __future__ import annotations

import struct
from typing import TypeAlias, Union

__all__ = ["check_structure"]

_Kind: TypeAlias = Union[int, "_Fields", list["_Kind"]]
"""Kind of a field: a number of this many bytes, a table, or a list of either."""

_Fields: TypeAlias = dict[int, _Kind]
"""Checked fields of a table: their kinds by field number."""

_TEXT: _Kind = [1]
_QUANTIZATION: _Fields = {0: [4], 1: [4], 2: [4], 3: [8], 6: 4}
_TENSOR: _Fields = {0: [4], 1: 1, 2: 4, 3: _TEXT, 4: _QUANTIZATION, 7: [4]}
_OPERATOR: _Fields = {0: 4, 1: [4], 2: [4], 3: 1, 4: {}, 5: [1], 7: [1], 8: [4]}
_SUBGRAPH: _Fields = {0: [_TENSOR], 1: [4], 2: [4], 3: [_OPERATOR], 4: _TEXT}
_NAMED: _Fields = {0: _TEXT, 1: 4}
_MODEL: _Fields = {
    0: 4,
    1: [{0: 1, 1: _TEXT, 2: 4, 3: 4}],
    2: [_SUBGRAPH],
    3: _TEXT,
    4: [{0: [1], 1: 8, 2: 8}],
    5: [4],
    6: [_NAMED],
    7: [{0: [_NAMED], 1: [_NAMED], 2: _TEXT, 4: 4}],
}


def check_structure(content: bytes) -> None:
    """Checks every offset in the content of a model file.

    Raises:
        ValueError: It is not a TFLite model, or an offset leads out of it.
    """
    if content[4:8] != b"TFL3":
        raise ValueError("it does not begin like a TFLite model")
    _Walk(content).table(0, _MODEL)


class _Walk:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def table(self, place: int, fields: _Fields) -> None:
        """Checks the table that the offset at ``place`` points to."""
        start = place + self._number("<I", place)
        layout = start - self._number("<i", start)
        known = self._number("<H", layout)
        length = self._number("<H", layout + 2)
        if known < 4:
            raise ValueError(f"there is no table at {start}")
        self._inside(layout, known)
        self._inside(start, length)
        for index, kind in fields.items():
            entry = 4 + 2 * index
            offset = self._number("<H", layout + entry) if entry + 2 <= known else 0
            if offset:
                if offset + (kind if isinstance(kind, int) else 4) > length:
                    raise ValueError(f"a field at {start} is outside its table")
                self._value(start + offset, kind)

    def _value(self, place: int, kind: _Kind) -> None:
        if isinstance(kind, dict):
            self.table(place, kind)
        elif isinstance(kind, list):
            (member,) = kind
            start = place + self._number("<I", place)
            count = self._number("<I", start)
            size = member if isinstance(member, int) else 4
            self._inside(start + 4, count * size)
            if not isinstance(member, int):
                for index in range(count):
                    self._value(start + 4 + size * index, member)

    def _number(self, form: str, place: int) -> int:
        self._inside(place, struct.calcsize(form))
        (value,) = struct.unpack_from(form, self._content, place)
        return int(value)

    def _inside(self, start: int, length: int) -> None:
        if not 0 <= start <= start + length <= len(self._content):
            raise ValueError(f"an offset leads to {start}, outside its {len(self._content)} bytes")
