"""Parses NAL units of H.264 and HEVC, and finds display orientation messages in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["H264", "HEVC", "has_orientation", "unescaped", "units_of", "with_start_codes"]

H264 = frozenset(("h264", "avc1", "avc3", "x264", "davc"))
"""Names of H.264 in AVI and MP4, in lower case."""

HEVC = frozenset(("hevc", "hev1", "hvc1", "h265", "x265"))
"""Names of HEVC in AVI and MP4, in lower case."""

_START = re.compile(rb"\x00\x00\x01")
_DISPLAY_ORIENTATION = 47
_HEVC_PARAMETERS = b"\x42\x01"


def units_of(pieces: Sequence[bytes]) -> list[bytes]:
    """Returns the bytes after each start code."""
    return [unit for piece in pieces for unit in _START.split(piece)[1:]]


def unescaped(unit: bytes) -> bytes:
    """Removes the emulation prevention bytes of a unit."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")


def with_start_codes(name: str, extradata: bytes) -> bytes:
    """Returns MP4 headers (avcC, hvcC) with a start code before H.264's or HEVC's parameters."""
    if extradata[:1] != b"\x01":
        return extradata
    if name in H264:
        return b"\0\0\1" + extradata[8 : 8 + int.from_bytes(extradata[6:8], "big")]
    place = extradata.find(_HEVC_PARAMETERS, 22) if name in HEVC else -1
    return extradata if place < 0 else b"\0\0\1" + extradata[place:]


def has_orientation(codec: str, packets: Sequence[bytes]) -> bool:
    """Returns whether a supplemental message (SEI) rotates or mirrors the pictures.

    Args:
        codec: FourCC of the codec, as in AVI and MP4.
        packets: First video packets, with start codes.
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
    """Returns the types of a unit's messages, up to the first unreadable one."""
    kinds: set[int] = set()
    place = 0
    while place < len(messages) and messages[place] != 0x80:
        numbers = [0, 0]  # type and size: each byte of 255 extends the number
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
