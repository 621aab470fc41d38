"""Reads the directories of a TIFF file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Page", "is_tiff", "tiff_pages"]

_MOST = 1 << 16
_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _FORMAT = 254, 258, 259, 262, 339
_WHITE_IS_ZERO, _SIGNED, _FLOAT = 0, 2, 3
_REDUCED, _MASK = 1, 4
_RAW = (32803, 34892)
_SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8}
"""Bytes per value by type code: BYTE 1, SHORT 3, LONG 4, IFD 13, LONG8 16."""


class Page(NamedTuple):
    """A page, as described by its directory.

    Attributes:
        number: Index of the directory, from 0.
        bits: Bits per sample.
        fractional: Whether samples are floating-point numbers.
        extra: Whether it is a thumbnail, a mask or raw camera data, rather than a page.
        signed: Whether samples may be negative.
        inverted: Whether 0 stands for white.
        compression: Code of the compression.
    """

    number: int
    bits: int
    fractional: bool
    extra: bool
    signed: bool = False
    inverted: bool = False
    compression: int = 1


def is_tiff(content: bytes) -> bool:
    """Returns whether a file begins like a TIFF or BigTIFF."""
    return content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def tiff_pages(content: bytes) -> list[Page]:
    """Returns all pages of a TIFF, with thumbnails and masks, up to the first broken directory."""
    order = "<" if content[:2] == b"II" else ">"
    big = content[2:4] in (b"+\0", b"\0+")
    pages = []
    for number, entries in enumerate(_directories(content, order, big)):
        kind = entries.get(_SUBFILE, 0)
        photometric, form = entries.get(_PHOTOMETRIC, 1), entries.get(_FORMAT, 1)
        pages.append(
            Page(
                number,
                bits=entries.get(_BITS, 1),
                fractional=form == _FLOAT,
                extra=bool(kind & (_REDUCED | _MASK)) or photometric in _RAW,
                signed=form == _SIGNED,
                inverted=photometric == _WHITE_IS_ZERO,
                compression=entries.get(_COMPRESSION, 1),
            )
        )
    return pages


def _directories(content: bytes, order: str, big: bool) -> Iterator[dict[int, int]]:
    """Yields for each directory the first value of each entry, by tag."""
    pointer, count, size = ("Q", "Q", 20) if big else ("I", "H", 12)
    try:
        (place,) = struct.unpack_from(order + pointer, content, 8 if big else 4)
        seen: set[int] = set()
        while place and place not in seen and len(seen) < _MOST:
            seen.add(place)
            (entries,) = struct.unpack_from(order + count, content, place)
            place += struct.calcsize(order + count)
            yield dict(
                _entry(content, order, big, place + size * number) for number in range(entries)
            )
            (place,) = struct.unpack_from(order + pointer, content, place + size * entries)
    except (struct.error, OverflowError):  # truncated, or a bad offset
        return


def _entry(content: bytes, order: str, big: bool, place: int) -> tuple[int, int]:
    pointer = "Q" if big else "I"
    tag, kind, count = struct.unpack_from(f"{order}HH{pointer}", content, place)
    place += 4 + struct.calcsize(order + pointer)
    width = _SIZES.get(kind)
    if width is None:
        return tag, 0
    if width * count > struct.calcsize(order + pointer):
        (place,) = struct.unpack_from(order + pointer, content, place)
    letter = {1: "B", 2: "H", 4: "I", 8: "Q"}[width]
    return tag, int(struct.unpack_from(order + letter, content, place)[0])
