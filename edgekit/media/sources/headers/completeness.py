"""Checks whether a recording is complete, by its declared size or by the mark at its end."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from edgekit.files.reading import open_regular
from edgekit.media.sources.headers.tracks import ASF_HEADER

__all__ = ["lacks_end"]

_MOST_BOXES = 100_000
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")

_DV_FRAMES = (120_000, 144_000)
"""Bytes per frame of DV at 30 and at 25 frames per second; other kinds have multiples of them."""

_TAG_HEAD = 32
_MXF_KEY = b"\x06\x0e\x2b\x34"

_OGG_PAGE = 27 + 255 + 255 * 255
"""Largest size of an Ogg page, in bytes."""

_LONGEST_LINE = 1024
_Y4M_FORMAT = re.compile(rb"(420|411|422|444|mono)(?:jpeg|mpeg2|paldv)?(p?(?:8|9|1\d)|)$")
_CHROMA = {
    b"420": (2, 2, 2),
    b"411": (4, 1, 2),
    b"422": (2, 1, 2),
    b"444": (1, 1, 2),
    b"mono": (1, 1, 0),
}
"""Pixels per chroma sample across and down, and chroma planes, by the pixel formats of y4m."""


def lacks_end(path: Path) -> bool:
    """Returns whether the end of a file is missing.

    MP4, AVI, Matroska and ASF declare their size, y4m, DV, FLV and IVF that of each picture, and
    MXF the place of its footer. GIF, Ogg and a series of JPEGs have a mark at their end. Other
    files never lack one.
    """
    try:
        with open_regular(path) as (file, size):
            head = file.read(16)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _last_box(file, size) > size
            if head[:4] == b"RIFF":
                return _last_chunk(file, size) > size
            if head[:4] == b"\x1aE\xdf\xa3":
                return _segment(file) > size
            if head == ASF_HEADER:
                return _announced(file) > size
            if head[:4] == b"OggS":
                return not _ends_with_last_page(file, size)
            if head[:10] == b"YUV4MPEG2 ":
                return _last_picture(file, size) > size
            if head[:3] == b"\x1f\x07\x00":
                return size % _DV_FRAMES[head[3] >> 7] > 0
            if head[:4] == b"FLV\x01":
                return _last_tag(file, size, 13, _flv_tag) > size
            if head[:4] == b"DKIF":
                return _last_tag(file, size, 32, _ivf_tag) > size
            if head[:4] == _MXF_KEY:
                footer = _footer(file)
                return footer >= size or _last_tag(file, size, footer, _mxf_tag) > size
            if head[:6] in (b"GIF87a", b"GIF89a"):
                return not _has_trailer(file)
            if head[:3] == b"\xff\xd8\xff":
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    return data.rfind(b"\xff\xd8") > data.rfind(b"\xff\xd9")
    except (OSError, ValueError, KeyError, IndexError):
        pass
    return False


def _big(number: bytes) -> int:
    return int.from_bytes(number, "big")


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")


def _last_tag(file: BinaryIO, size: int, place: int, length: Callable[[bytes], int]) -> int:
    """Returns the offset at which the last of a series of tags ends.

    Args:
        file: Open file.
        size: Size of the file in bytes.
        place: Offset of the first tag.
        length: Function that returns the size of a tag, given its first bytes; 0 for bytes that
            are no tag, such as a second file that was appended.
    """
    for _ in range(_MOST_BOXES):
        if place >= size:
            break
        file.seek(place)
        if not (size_of_tag := length(file.read(_TAG_HEAD))):
            break
        place += size_of_tag
    return place


def _flv_tag(head: bytes) -> int:
    """Returns the size of a tag of sound, pictures or data, and of the number that follows it."""
    return 15 + _big(head[1:4]) if head[0] & 0x1F in (8, 9, 18) else 0


def _ivf_tag(head: bytes) -> int:
    return 0 if head.startswith(b"DKIF") else 12 + _little(head[:4])


def _footer(file: BinaryIO) -> int:
    """Returns the offset of the footer that the first partition of an MXF names; 0 if none."""
    file.seek(0)
    partition = file.read(64)
    place = 17 + (partition[16] & 0x7F if partition[16] & 0x80 else 0) + 24
    return _big(partition[place : place + 8])


def _mxf_tag(head: bytes) -> int:
    """Returns the size of a key of MXF and its value, whose length has one or more bytes."""
    if not head.startswith(_MXF_KEY):
        return 0
    first = head[16]
    if first < 0x80:
        return 17 + first
    stop = 17 + (first & 0x7F)
    return stop + _big(head[17:stop])


def _last_box(file: BinaryIO, size: int) -> int:
    """Returns the offset at which the last box of an MP4 ends."""
    place = 0
    for _ in range(_MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8 or not head[4:8].isalnum():
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # length 0 means: to the end of the file
            break
        place += length
        if place > size:
            break
    return place


def _last_chunk(file: BinaryIO, size: int) -> int:
    """Returns the offset at which the last RIFF of an AVI ends; large files have several."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(8)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            break
        place += 8 + length + length % 2
        if place == size + 1:  # the padding byte may be missing
            break
    return min(place, size) if place == size + 1 else place


def _segment(file: BinaryIO) -> int:
    """Returns the offset at which a Matroska segment ends; 0 if its size is unknown."""
    file.seek(4)
    length, _ = _number(file)
    file.seek(length, os.SEEK_CUR)
    if file.read(4) != b"\x18S\x80g":
        return 0
    length, unknown = _number(file)
    return 0 if unknown else file.tell() + length


def _number(file: BinaryIO) -> tuple[int, bool]:
    """Reads an EBML size, and whether it is the value that means unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, True
    more = 8 - first[0].bit_length()
    value = first[0] & (0x7F >> more)
    value = value << 8 * more | int.from_bytes(file.read(more), "big")
    return value, value == (1 << 7 * (more + 1)) - 1


def _announced(file: BinaryIO) -> int:
    """Returns the file size that an ASF header declares; 0 if it declares none."""
    file.seek(0)
    header = file.read(4096)
    place = header.find(_ASF_PROPERTIES)
    if place < 0 or len(header) < place + 92:
        return 0
    broadcast = header[place + 88] & 1
    return 0 if broadcast else int.from_bytes(header[place + 40 : place + 48], "little")


def _ends_with_last_page(file: BinaryIO, size: int) -> bool:
    """Returns whether an Ogg file ends with a whole page that is marked as the last one."""
    file.seek(max(0, size - _OGG_PAGE))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    head = 27 + page[26] if len(page) > 26 else 27
    return len(page) >= head + sum(page[27:head]) and page[5] & 4 == 4


def _last_picture(file: BinaryIO, size: int) -> int:
    """Returns the offset at which the last picture of a y4m file ends; 0 if its size is unknown."""
    file.seek(0)
    words = {word[:1]: word[1:] for word in file.readline(_LONGEST_LINE).split()[1:]}
    form = _Y4M_FORMAT.match(words.get(b"C", b"420"))
    if form is None:
        return 0
    width, height = int(words[b"W"]), int(words[b"H"])
    across, down, planes = _CHROMA[form[1]]
    samples = width * height + planes * (-(-width // across)) * (-(-height // down))
    length = samples * (1 if form[2] in (b"", b"p8") else 2)
    place = file.tell()
    for _ in range(_MOST_BOXES):
        if place >= size or not file.readline(_LONGEST_LINE).startswith(b"FRAME"):
            break
        place = file.tell() + length
        file.seek(place)
    return place


def _has_trailer(file: BinaryIO) -> bool:
    """Returns whether the blocks of a GIF lead to its trailer."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            place = 13 + _colours(data[10])
            while (kind := data[place]) in b"\x21\x2c":
                place += 2 if kind == 0x21 else 11 + _colours(data[place + 9])
                while data[place]:
                    place += 1 + data[place]
                place += 1
        except IndexError:
            return False
    return True  # also after bytes that are no block: nothing is known to be missing


def _colours(flags: int) -> int:
    """Returns the size of a GIF's table of colours, in bytes."""
    return 6 << (flags & 7) if flags & 0x80 else 0
