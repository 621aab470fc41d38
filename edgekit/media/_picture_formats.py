"""What the bytes of a picture tell: whether it is whole, of how many pictures and how many bits."""

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
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
# Within a scan, a 0 after FF and the restart markers belong to the data.
_AFTER_SCAN = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_END, _SCAN, _AGAIN = 0xD9, 0xDA, 0xD8
_BEGIN = b"\xff\xd8\xff"
# The index of the Multi-Picture Format: its segment, its list, and the class of a smaller copy.
_MULTI_PICTURE, _LIST, _PREVIEW = 0xE2, 0xB002, 1
_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Transparency, orientation, and what makes an animation.
_PIXELS = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")
_PNM = re.compile(rb"P([2356])(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")


def is_jpeg(content: bytes) -> bool:
    """Whether a file begins as a JPEG."""
    return content[:2] == b"\xff\xd8"


def is_png(content: bytes) -> bool:
    """Whether a file begins as a PNG."""
    return content[:8] == _PNG


def is_webp(content: bytes) -> bool:
    """Whether a file begins as a WebP."""
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def is_whole_jpeg(content: bytes) -> bool:
    """Whether a JPEG has its own end marker, whatever follows it, and before another one begins."""
    for marker, place in _jpeg_markers(content):
        if marker == _SCAN and content.endswith(b"\xff\xd9") and content.find(_BEGIN, place) < 0:
            return place < len(content) - 2  # most files end so, and need not be searched
        if marker in (_AGAIN, _END):
            return marker == _END
    return False


def jpeg_bits(content: bytes) -> int:
    """The bits of a JPEG's samples; 0 where it does not say."""
    for marker, place in _jpeg_markers(content):
        if marker in _FRAMES and place + 2 < len(content):
            return content[place + 2]
    return 0


def jpeg_pictures(content: bytes) -> int:
    """How many pictures a JPEG of the Multi-Picture Format (MPO) lists, without its previews."""
    for marker, place in _jpeg_markers(content):
        if marker == _SCAN:
            break
        length = int.from_bytes(content[place : place + 2], "big")
        segment = content[place + 2 : place + length]
        if marker == _MULTI_PICTURE and segment[:4] == b"MPF\0":
            return max(1, sum(kind >> 16 != _PREVIEW for kind in _listed_kinds(segment[4:])))
    return 1


def _listed_kinds(index: bytes) -> list[int]:
    """The kind of each picture in the index of a Multi-Picture Format."""
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
    """Each marker, and the place behind it."""
    place, pattern = 2, _MARKER
    while (found := pattern.search(content, place)) is not None:
        marker, place = found[1][0], found.end()
        yield marker, place
        pattern = _MARKER
        if marker in _WITHOUT_LENGTH:
            continue
        # A thumbnail in a segment is stepped over with it.
        place += int.from_bytes(content[place : place + 2], "big")
        if marker == _SCAN:
            pattern = _AFTER_SCAN


def png_fault(content: bytes) -> str:
    """What is wrong with a PNG, as half a sentence; empty where it is whole."""
    ended = False
    for kind, place, length in _png_chunks(content):
        if place + length + 4 > len(content):
            return "it is truncated"
        # A capital letter marks what is needed for the picture.
        if kind[:1].isupper():
            (stored,) = struct.unpack_from(">I", content, place + length)
            if zlib.crc32(content[place - 4 : place + length]) != stored:
                return "it is damaged"
        if kind == b"IEND":
            ended = True
            break
    return "" if ended else "it is truncated"


def png_essentials(content: bytes) -> bytes:
    """A whole PNG without what no pixel depends on: libpng prints warnings about such chunks."""
    parts = [_PNG]
    for kind, place, length in _png_chunks(content):
        if kind[:1].isupper() or kind in _PIXELS:
            parts.append(content[place - 8 : place + length + 4])
        if kind == b"IEND":
            break
    return b"".join(parts)


def animated_png(content: bytes) -> int:
    """The number of frames of a PNG; 1 where it is not animated."""
    for kind, place, _ in _png_chunks(content):
        if kind == b"acTL" and place + 4 <= len(content):
            return max(1, int.from_bytes(content[place : place + 4], "big"))
        if kind == b"IDAT":
            break
    return 1


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind of each chunk, where its data begins, and how long that is."""
    place = len(_PNG)
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, place + 8, length
        place += 12 + length


def webp_fault(content: bytes) -> str:
    """What is wrong with a WebP, as half a sentence; empty where it is as long as it says."""
    (length,) = struct.unpack_from("<I", content, 4)
    return "it is truncated" if length + 8 > len(content) else ""


def webp_delays(content: bytes) -> list[float]:
    """How long each frame of an animated WebP is shown, in seconds; empty where it is none."""
    delays = []
    place = 12
    while place + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, place)
        if kind == b"ANMF":
            delays.append(int.from_bytes(content[place + 20 : place + 23], "little") / 1e3)
        place += 8 + length + length % 2
    return delays


def largest_value(content: bytes) -> int:
    """The largest value that the samples of a picture can have, by its format.

    Returns:
        255 for 8 bits, also where the format is not known here. 65535 may be more than was meant:
        many write values of 10 or 12 bits into 16.
    """
    if is_png(content):
        return 65535 if content[24:25] == b"\x10" else 255
    if (found := _PNM.match(content)) is not None:
        return min(max(int(found[4]), 1), 65535)
    # A JPEG 2000 file: height, width and the number of its components, then their bits less 1.
    place = content[:256].find(b"ihdr")
    if content[4:8] == b"jP  " and place > 0 and place + 15 <= len(content):
        bits = (content[place + 14] & 0x7F) + 1
        return int(2 ** min(max(bits, 8), 16) - 1)
    return 255
