"""The numbers, text and bytes in a pickle."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

__all__ = [
    "Bytes",
    "Read",
    "UnreadablePickle",
    "check_length",
    "counted",
    "fixed",
    "line",
    "long",
    "number",
    "quoted",
]


class UnreadablePickle(ValueError):
    """Says, as half a sentence, what in a pickle is not plain data."""


class Bytes:
    """The bytes of a pickle, read from ``at`` on; ``size`` is their number."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at, self.size = content, 0, len(content)


Read = Callable[[Bytes], Any]


def fixed(layout: str) -> Read:
    """Reads a number."""
    form = struct.Struct(layout)
    size, unpack = form.size, form.unpack_from

    def read(pickle: Bytes) -> Any:
        (value,) = unpack(pickle.content, pickle.at)
        pickle.at += size
        return value

    return read


def counted(layout: str, decode: Callable[[bytes], Any]) -> Read:
    """Reads bytes that begin with their count."""
    count = fixed(layout)

    def read(pickle: Bytes) -> Any:
        length = count(pickle)
        check_length(pickle, length)
        begin, pickle.at = pickle.at, pickle.at + length
        return decode(pickle.content[begin : pickle.at])

    return read


def line(decode: Callable[[bytes], Any]) -> Read:
    """Reads up to the end of a line."""

    def read(pickle: Bytes) -> Any:
        begin, end = pickle.at, pickle.content.index(b"\n", pickle.at)
        pickle.at = end + 1
        return decode(pickle.content[begin:end])

    return read


def check_length(pickle: Bytes, length: int) -> None:
    if not 0 <= length <= pickle.size - pickle.at:
        raise UnreadablePickle(f"it claims {length} bytes, and has {pickle.size - pickle.at}")


def quoted(line: bytes) -> str:
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[:1] != line[-1:]:
        raise UnreadablePickle("it has text without its quotation marks")
    return line[1:-1].decode("unicode_escape")


def number(line: bytes) -> int | bool:
    return {b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line)


def long(content: bytes) -> int:
    return int.from_bytes(content, "little", signed=True)
