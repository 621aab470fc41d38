"""The NAL units of H.264 and HEVC, and what they say of how pictures are to be turned."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["H264", "HEVC", "has_orientation", "unescaped", "units_of"]

H264 = frozenset(("h264", "avc1", "avc3", "x264", "davc"))
"""Names of the codec in lower case, as in AVI and MP4."""

HEVC = frozenset(("hevc", "hev1", "hvc1", "h265", "x265"))
"""Names of the codec in lower case, as in AVI and MP4."""

_START = re.compile(rb"\x00\x00\x01")
_DISPLAY_ORIENTATION = 47


def units_of(pieces: Sequence[bytes]) -> list[bytes]:
    """What follows each start code."""
    return [unit for piece in pieces for unit in _START.split(piece)[1:]]


def unescaped(unit: bytes) -> bytes:
    """A unit without the bytes that keep start codes out of it."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")


def has_orientation(codec: str, packets: Sequence[bytes]) -> bool:
    """Whether a supplemental message (SEI) says how pictures are to be turned or mirrored.

    Args:
        codec: Four characters, as in AVI and MP4.
        packets: The first ones of the video, with start codes.
    """
    name = codec.lower()
    if name not in H264 | HEVC:
        return False
    hevc = name in HEVC
    for unit in units_of(packets):
        kind = unit[:1] and (unit[0] >> 1 & 63 if hevc else unit[0] & 31)
        messages = unescaped(unit[2 if hevc else 1 :])
        if kind == (39 if hevc else 6) and _DISPLAY_ORIENTATION in _kinds(messages):
            return True
    return False


def _kinds(messages: bytes) -> set[int]:
    """The kinds of the messages of one unit, as far as it can be read."""
    kinds: set[int] = set()
    place = 0
    while place < len(messages) and messages[place] != 0x80:
        numbers = [0, 0]  # kind and size, both longer by each byte of 255
        for which in range(2):
            while messages[place : place + 1] == b"\xff":
                numbers[which] += 0xFF
                place += 1
            if place == len(messages):
                return kinds
            numbers[which] += messages[place]
            place += 1
        kinds.add(numbers[0])
        place += numbers[1]
    return kinds
