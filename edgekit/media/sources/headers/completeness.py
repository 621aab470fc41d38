"""Checks whether a recording is complete, by the size that its container declares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

__all__ = ["lacks_end"]

_MOST_BOXES = 100_000
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def lacks_end(path: Path) -> bool:
    """Returns whether a file is shorter than its container (MP4, AVI, Matroska, ASF) declares."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(16)
            if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return _last_box(file, size) > size
            if head[:4] == b"RIFF":
                return _last_chunk(file, size) > size
            if head[:4] == b"\x1aE\xdf\xa3":
                return _segment(file) > size
            if head == _ASF_HEADER:
                return _announced(file) > size
    except OSError:
        pass
    return False


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
