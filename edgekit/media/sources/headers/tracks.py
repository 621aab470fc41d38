"""Lists the video tracks of MP4, Matroska, AVI, ASF, MPEG-TS and y4m files."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgekit.files.reading import open_regular
from edgekit.media.sources.headers._transport import transport_videos
from edgekit.media.sources.headers.colours import are_convertible

__all__ = ["ASF_HEADER", "INTERLACED_Y4M", "Tracks", "tracks_of"]

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
"""First bytes of a file of Windows Media."""

_SEGMENT, _TRACKS, _ENTRY = 0x18538067, 0x1654AE6B, 0xAE
_TYPE, _VIDEO, _INTERLACED, _COLOUR = 0x83, 0xE0, 0x9A, 0x55B0
_PRIMARIES, _TRANSFER, _MATRIX, _UNSPECIFIED = 0x55BB, 0x55BA, 0x55B1, 2
_ASF_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_LONGEST_LINE = 1024
INTERLACED_Y4M = ("It", "Ib", "Im")
"""Words of a y4m header that mark pictures of two fields: top first, bottom first, or mixed."""

_ENCRYPTION = (b"encv", b"sinf")
"""Boxes of an MP4 track with encrypted pictures: their format, and the scheme of protection."""


class Tracks(NamedTuple):
    """Facts about the video tracks of a container.

    Attributes:
        videos: Number of video tracks; 0 if unknown.
        mirrored: Whether the first track is displayed mirrored.
        interlaced: Whether any track is marked as interlaced.
        convertible: Whether FFmpeg's scaler converts the colours of all tracks.
        encrypted: Whether the pictures of any track are encrypted.
    """

    videos: int = 0
    mirrored: bool = False
    interlaced: bool = False
    convertible: bool = True
    encrypted: bool = False


def tracks_of(path: Path) -> Tracks:
    """Returns the video tracks of a file; unknown for damaged files and other containers."""
    try:
        with (
            open_regular(path) as (file, _),
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _of_mp4(data)
            if data[:4] == b"\x1aE\xdf\xa3":
                return _of_matroska(data)
            if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
                head = data[: 1 << 16]
                return Tracks(head.count(b"strh\x38\x00\x00\x00vids"))
            if data[:16] == ASF_HEADER:
                return Tracks(data[: 1 << 16].count(_ASF_VIDEO))
            if data[0] == 0x47 or data[4] == 0x47:
                return Tracks(transport_videos(data))
            if data[:10] == b"YUV4MPEG2 ":
                words = data[:_LONGEST_LINE].partition(b"\n")[0].decode("latin-1").split()
                return Tracks(1, interlaced=any(word in INTERLACED_Y4M for word in words))
    except (OSError, ValueError, IndexError, struct.error):
        pass
    return Tracks()


def _boxes(data: mmap.mmap, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the MP4 boxes in a range: type, start and end of the content."""
    while begin + 8 <= end:
        length, head = int.from_bytes(data[begin : begin + 4], "big"), 8
        kind = data[begin + 4 : begin + 8]
        if length == 1:
            length, head = int.from_bytes(data[begin + 8 : begin + 16], "big"), 16
        elif length == 0:
            length = end - begin
        if length < head:
            return
        yield kind, begin + head, min(begin + length, end)
        begin += length


def _of_mp4(data: mmap.mmap) -> Tracks:
    count, mirrored, interlaced, convertible, encrypted = 0, False, False, True, False
    for kind, begin, end in _boxes(data, 0, len(data)):
        if kind != b"moov":
            continue
        for inner, place, stop in _boxes(data, begin, end):
            if inner == b"trak" and data.find(b"hdlr", place, stop) >= 0:
                handler = data.find(b"hdlr", place, stop)
                if data[handler + 12 : handler + 16] != b"vide":
                    continue
                if not count:
                    mirrored = _is_mirrored(data, place, stop)
                count += 1
                fields = data.find(b"fiel", place, stop)
                interlaced |= fields >= 0 and data[fields + 4] == 2
                convertible &= are_convertible(_mp4_colours(data, place, stop))
                encrypted |= all(data.find(name, place, stop) >= 0 for name in _ENCRYPTION)
    return Tracks(count, mirrored, interlaced, convertible, encrypted)


def _mp4_colours(data: mmap.mmap, begin: int, end: int) -> tuple[int, ...]:
    place = data.find(b"colr", begin, end)
    if place < 0 or data[place + 4 : place + 8] not in (b"nclx", b"nclc"):
        return ()
    return struct.unpack(">3H", data[place + 8 : place + 14])


def _is_mirrored(data: mmap.mmap, begin: int, end: int) -> bool:
    """Returns whether a track's matrix has a negative determinant."""
    for kind, place, _ in _boxes(data, begin, end):
        if kind == b"tkhd":
            matrix = place + (52 if data[place] == 1 else 40)
            a, b, _, c, d = struct.unpack(">5i", data[matrix : matrix + 20])
            return bool(a * d - b * c < 0)
    return False


def _elements(data: mmap.mmap, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yields the Matroska elements in a range: id, start and end of the content."""
    while begin < end:
        size = 9 - data[begin].bit_length()
        name = int.from_bytes(data[begin : begin + size], "big")
        begin += size
        width = 9 - data[begin].bit_length()
        if size > 4 or width > 8:
            return
        length = int.from_bytes(data[begin : begin + width], "big") & ((1 << 7 * width) - 1)
        unknown = length == (1 << 7 * width) - 1
        begin += width
        stop = end if unknown else min(begin + length, end)
        yield name, begin, stop
        begin = stop


def _of_matroska(data: mmap.mmap) -> Tracks:
    count, interlaced, convertible = 0, False, True
    for name, begin, end in _elements(data, 0, len(data)):
        if name != _SEGMENT:
            continue
        for inner, place, stop in _elements(data, begin, end):
            if inner != _TRACKS:
                continue
            for entry, first, last in _elements(data, place, stop):
                parts = {key: (i, j) for key, i, j in _elements(data, first, last)}
                if entry != _ENTRY or data[slice(*parts.get(_TYPE, (0, 0)))] != b"\x01":
                    continue
                count += 1
                for key, i, j in _elements(data, *parts.get(_VIDEO, (0, 0))):
                    interlaced |= key == _INTERLACED and data[i:j] == b"\x01"
                    if key == _COLOUR:
                        convertible &= are_convertible(_matroska_colours(data, i, j))
            break
    return Tracks(count, False, interlaced, convertible)


def _matroska_colours(data: mmap.mmap, begin: int, end: int) -> list[int]:
    codes = {key: int.from_bytes(data[i:j], "big") for key, i, j in _elements(data, begin, end)}
    return [codes.get(name, _UNSPECIFIED) for name in (_PRIMARIES, _TRANSFER, _MATRIX)]
