"""Reads long JSON without the memory that its objects take, which is up to 24 times its text.

Long arrays are decoded in pieces, and the number of names is limited while they are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Name", "array_pieces", "boxes_in", "counts_of", "memory_of", "name_limit", "placed"]

_BLOCK = 1 << 20
_BETWEEN_BOXES = re.compile(rb"\]\s*,(?=\s*\[)")
_LEAST_BOX = len("[0,0,0,0]")
_MEMORY = {b'"': 32, b"{": 300, b"[": 176, b"n": 8}
"""Bytes that a value takes, by the letters in its JSON: texts, structs, arrays of numbers, null."""

_WIDEST = 4
"""Bytes of a character in a text with characters beyond ASCII."""


class Name(str):
    """Text whose number in a file is limited, see ``name_limit``."""

    __slots__ = ()


def name_limit(most: int) -> Callable[[type, object], Name]:
    """Returns the ``dec_hook`` with which msgspec decodes at most ``most`` values of type ``Name``.

    The hook raises ``ValueError`` for one more, which msgspec turns into its own error.
    """
    count = 0

    def decode(kind: type, value: object) -> Name:
        nonlocal count
        count += 1
        if count > most:
            raise ValueError(f"expected at most {most} names")
        if not isinstance(value, str):
            raise TypeError(f"expected text as the name, found {type(value).__name__}")
        return Name(value)

    return decode


def memory_of(content: bytes) -> int:
    """Returns the most memory that JSON and its values take, in bytes.

    It counts without decoding. Values that are skipped count as if they were decoded. Numbers count
    in arrays of at most four only, so a type to decode may have no longer ones.
    """
    plain = content.isascii() and b"\\u" not in content
    total = len(content) * (1 if plain else 1 + _WIDEST)
    counts = counts_of(content, b"".join(_MEMORY))
    return total + sum(size * counts[letter] for letter, size in _MEMORY.items())


def counts_of(content: bytes | memoryview, letters: bytes) -> dict[bytes, int]:
    """Returns how often each of some letters is in a content, without a copy of it."""
    values = np.frombuffer(content, np.uint8)
    counts = dict.fromkeys((bytes([letter]) for letter in letters), 0)
    for begin in range(0, len(values), _BLOCK):
        block = values[begin : begin + _BLOCK]
        for letter in counts:
            counts[letter] += int(np.count_nonzero(block == ord(letter)))
    return counts


def array_pieces(
    content: memoryview, between: re.Pattern[bytes], block: int, most: int
) -> Iterator[bytes]:
    """Yields a JSON array in pieces, each a JSON array of whole items.

    Args:
        content: JSON of the array; other JSON comes back as it is.
        between: Pattern of the end of an item with the comma after it.
        block: Number of bytes after which a piece ends.
        most: Largest size of a piece with its last item in bytes.

    Raises:
        ValueError: An item is too long.
    """
    begin = 1 if bytes(content[:1]) == b"[" else 0
    for match in between.finditer(content) if begin else ():
        if match.end() - begin >= block:
            yield _as_array(content[begin : match.end() - 1], block, most)
            begin = match.end()
    yield _as_array(content[begin:-1], block, most) if begin else bytes(content)


def boxes_in(content: msgspec.Raw, count: int) -> npt.NDArray[np.float64]:
    """Returns a JSON array of boxes as an array, (count, 4).

    Args:
        content: JSON of the boxes, with four numbers each.
        count: Number of boxes.

    Raises:
        ValueError: It holds another number of boxes.
        msgspec.MsgspecError: It holds something else.
    """
    boxes = np.empty((min(count, len(memoryview(content)) // _LEAST_BOX), 4))
    found = 0
    for piece in array_pieces(memoryview(content), _BETWEEN_BOXES, _BLOCK, 2 * _BLOCK):
        try:
            rows = msgspec.json.decode(piece, type=list[tuple[float, float, float, float]])
        except msgspec.ValidationError as error:
            raise ValueError(placed(str(error), "$.boxes", found)) from error
        fitting = rows[: max(len(boxes) - found, 0)]
        if fitting:
            boxes[found : found + len(fitting)] = fitting
        found += len(rows)
    if found != count:
        raise ValueError(f"{found} boxes for {count} frames")
    return boxes


def placed(text: str, name: str, first: int) -> str:
    """Returns an error about a piece of an array with the place in the whole array.

    Args:
        text: Message of msgspec.
        name: Path of the array in the file.
        first: Index of the first item of the piece.
    """
    if "$[" not in text:
        return f"{text} - at `{name}`"
    return re.sub(r"\$\[(\d+)\]", lambda found: f"{name}[{first + int(found[1])}]", text)


def _as_array(items: memoryview, block: int, most: int) -> bytes:
    if len(items) > most:
        raise ValueError(f"an item has over {most - block} bytes, the most that are read")
    return b"".join((b"[", items, b"]"))
