"""DEVICE. Reads and writes the weights of ncnn, ``.bin``: one array after the other, without names.

The first array of a convolution has a mark of four bytes for the type of its values. Arrays end at
a multiple of four bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from edgekit.runtime.types import Array
from edgekit.targets.ncnn.sizes import WeightArray

__all__ = ["Arrays", "read_weights", "write_weights"]

Arrays: TypeAlias = dict[tuple[str, str], Array]
"""Arrays of weights by the name of their layer and their role."""

_MARKS: dict[int, np.dtype[Any]] = {
    0: np.dtype("<f4"),
    0x01306B47: np.dtype("<f2"),
    0x000D4B38: np.dtype("i1"),
}
"""Type of the values by mark."""

_MARK = 4


def read_weights(weights: Sequence[WeightArray], content: bytes) -> Arrays:
    """Returns the arrays in a file, as views of its content.

    Args:
        weights: Arrays that the network needs, in order.
        content: Content of the file.

    Raises:
        ValueError: The file is too short or too long, or an array has the wrong type.
    """
    found: Arrays = {}
    place = 0
    for part in weights:
        kind = _MARKS[0]
        if part.marked:
            mark = int.from_bytes(content[place : place + _MARK], "little")
            if len(content) < place + _MARK or mark not in _MARKS:
                raise ValueError(f"there are no weights of {part.layer} at {place}")
            kind = _MARKS[mark]
            place += _MARK
        if part.integer != (kind.itemsize == 1):
            raise ValueError(f"the weights of {part.layer} have the type {kind}")
        end = place + part.count * kind.itemsize
        if end > len(content):
            raise ValueError(f"it has {len(content)} bytes; {part.layer} ends at {end}")
        found[part.layer, part.role] = np.frombuffer(content, kind, part.count, place)
        place = end + -end % _MARK
    if place != len(content):
        raise ValueError(f"expected {place} bytes; found {len(content)}")
    return found


def write_weights(weights: Sequence[WeightArray], arrays: Mapping[tuple[str, str], Array]) -> bytes:
    """Returns the content of a file.

    Args:
        weights: Arrays that the network needs, in order.
        arrays: Values by layer and role: float32, or also float16 or int8 where there is a mark.
    """
    marks = {kind: mark for mark, kind in _MARKS.items()}
    parts = []
    for part in weights:
        values = arrays[part.layer, part.role]
        if part.marked:
            parts.append(marks[values.dtype].to_bytes(_MARK, "little"))
        content = values.tobytes()
        parts.append(content + bytes(-len(content) % _MARK))
    return b"".join(parts)
