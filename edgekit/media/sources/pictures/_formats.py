"""Reads facts about a picture from its bytes: completeness, number of pictures, bit depth."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Literal

__all__ = [
    "animated_png",
    "is_jpeg",
    "is_png",
    "is_webp",
    "is_whole_jpeg",
    "jpeg_bits",
    "jpeg_pictures",
    "largest_value",
    "png_essentials",
    "png_fault",
    "webp_delays",
    "webp_fault",
]

_PNG = b"\x89PNG\r\n\x1a\n"
# Of several FF, the last belongs to the marker. Matching all of them would take quadratic time.
_MARKER = re.compile(rb"\xff([^\x00\xff])")
# Within a scan, FF 00 and the restart markers belong to the data.
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_END, _SCAN, _AGAIN = 0xD9, 0xDA, 0xD8
_BEGIN = b"\xff\xd8\xff"
_MOST_MARKERS = 10_000
# Multi-Picture Format: marker of its segment, tag of its list, and type of a thumbnail.
_MULTI_PICTURE, _LIST, _PREVIEW = 0xE2, 0xB002, 1
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Chunks that affect pixels: transparency, orientation and animation.
_PIXELS = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")
_PNM = re.compile(rb"P([2356])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_PNM_HEAD = 1 << 12  # Python reads numbers of up to 4300 digits.


def is_jpeg(content: bytes) -> bool:
    """Returns whether a file begins like a JPEG."""
    return content[:2] == b"\xff\xd8"


def is_png(content: bytes) -> bool:
    """Returns whether a file begins like a PNG."""
    return content[:8] == _PNG


def is_webp(content: bytes) -> bool:
    """Returns whether a file begins like a WebP."""
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def is_whole_jpeg(content: bytes) -> bool:
    """Returns whether a JPEG has its end marker before another JPEG begins; more may follow it."""
    for marker, place in _jpeg_markers(content):
        if marker == _SCAN and content.endswith(b"\xff\xd9") and content.find(_BEGIN, place) < 0:
            return place < len(content) - 2  # most files end like this and need no search
        if marker in (_AGAIN, _END):
            return marker == _END
    return False


def jpeg_bits(content: bytes) -> int:
    """Returns the bits per sample of a JPEG; 0 if it does not state them."""
    for marker, place in _jpeg_markers(content):
        if marker in _FRAMES and place + 2 < len(content):
            return content[place + 2]
    return 0


def jpeg_pictures(content: bytes) -> int:
    """Returns the number of pictures in a JPEG or Multi-Picture file (MPO), without thumbnails."""
    for marker, place in _jpeg_markers(content):
        if marker == _SCAN:
            break
        length = int.from_bytes(content[place : place + 2], "big")
        segment = content[place + 2 : place + length]
        if marker == _MULTI_PICTURE and segment[:4] == b"MPF\0":
            return max(1, sum(kind >> 16 != _PREVIEW for kind in _listed_kinds(segment[4:])))
    return 1


def _listed_kinds(index: bytes) -> list[int]:
    """Returns the type of each picture in the index of a Multi-Picture file."""
    order: Literal["little", "big"] = "little" if index[:2] == b"II" else "big"

    def number(place: int, size: int) -> int:
        return int.from_bytes(index[place : place + size], order)

    directory = number(4, 4)
    for entry in range(directory + 2, directory + 2 + 12 * number(directory, 2), 12):
        if number(entry, 2) == _LIST:
            first, size = number(entry + 8, 4), number(entry + 4, 4)
            end = min(first + size, len(index))
            return [number(place, 4) & 0xFFFFFF for place in range(first, end, 16)]
    return []


def _jpeg_markers(content: bytes) -> Iterator[tuple[int, int]]:
    """Yields each marker and the offset after it, up to a number that no picture needs."""
    place, pattern = 2, _MARKER
    for _ in range(_MOST_MARKERS):
        if (found := pattern.search(content, place)) is None:
            return
        marker, place = found[1][0], found.end()
        yield marker, place
        pattern = _MARKER
        if marker in _WITHOUT_LENGTH:
            continue
        # Skipping the segment also skips a thumbnail inside it.
        place += int.from_bytes(content[place : place + 2], "big")
        if marker == _SCAN:
            pattern = _AFTER_SCAN


def png_fault(content: bytes) -> str:
    """Describes what is wrong with a PNG, as a clause; empty if it is complete."""
    ended = False
    for kind, place, length in _png_chunks(content):
        if place + length + 4 > len(content):
            return "it is truncated"
        # A first capital letter marks a chunk that is needed for the picture.
        if kind[:1].isupper():
            (stored,) = struct.unpack_from(">I", content, place + length)
            if zlib.crc32(content[place - 4 : place + length]) != stored:
                return "it is damaged"
        if kind == b"IEND":
            ended = True
            break
    return "" if ended else "it is truncated"


def png_essentials(content: bytes) -> bytes:
    """Returns a PNG with only the chunks that affect pixels: libpng warns about some others."""
    parts = [_PNG]
    for kind, place, length in _png_chunks(content):
        if kind[:1].isupper() or kind in _PIXELS:
            parts.append(content[place - 8 : place + length + 4])
        if kind == b"IEND":
            break
    return b"".join(parts)


def animated_png(content: bytes) -> int:
    """Returns the number of frames of a PNG; 1 if it is not animated."""
    for kind, place, _ in _png_chunks(content):
        if kind == b"acTL" and place + 4 <= len(content):
            return max(1, int.from_bytes(content[place : place + 4], "big"))
        if kind == b"IDAT":
            break
    return 1


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields the type of each chunk, the offset of its data and the length of its data."""
    place = len(_PNG)
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, place + 8, length
        place += 12 + length


def webp_fault(content: bytes) -> str:
    """Describes what is wrong with a WebP, as a clause; empty if its length is right."""
    (length,) = struct.unpack_from("<I", content, 4)
    return "it is truncated" if length + 8 > len(content) else ""


def webp_delays(content: bytes) -> list[float]:
    """Returns the duration of each frame of an animated WebP, in seconds; empty if not animated."""
    delays = []
    place = 12
    while place + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, place)
        if kind == b"ANMF":
            delays.append(int.from_bytes(content[place + 20 : place + 23], "little") / 1e3)
        place += 8 + length + length % 2
    return delays


def largest_value(content: bytes) -> int:
    """Returns the largest sample value that a picture's format allows.

    Returns:
        255 for 8 bits and for unknown formats. 65535 may exceed the intended value: many programs
        store 10-bit or 12-bit values in 16 bits.
    """
    if is_png(content):
        return 65535 if content[24:25] == b"\x10" else 255
    if (found := _PNM.match(content, 0, _PNM_HEAD)) is not None:
        return min(max(int(found[4]), 1), 65535)
    # A JPEG 2000 file holds height, width, number of components, and bits minus 1.
    place = content[:256].find(b"ihdr")
    if content[4:8] == b"jP  " and place > 0 and place + 15 <= len(content):
        bits = (content[place + 14] & 0x7F) + 1
        return int(2 ** min(max(bits, 8), 16) - 1)
    return 255
