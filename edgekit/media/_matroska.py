"""Matroska that is whole after every cluster: RFC 9559, as much as one video track needs.

The segment has no declared end, so a reader takes what is there; nothing that is needed to play
comes last.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["LONGEST_CLUSTER_MS", "cluster", "duration_field", "header"]

LONGEST_CLUSTER_MS = 32_000
"""A block's time is 16 bits, signed, from the beginning of its cluster."""

_TRACK = 1
_VIDEO = 1
_UNKNOWN_SIZE = bytes.fromhex("01ffffffffffffff")
_NANOSECONDS_PER_TICK = 1_000_000


def header(codec: str, private: bytes, width: int, height: int) -> tuple[bytes, int]:
    """All that comes before the first cluster, and where in it the duration stands.

    Args:
        codec: Matroska's name of it.
        private: What the decoder needs before the first frame; may be empty.
        width: Pixels.
        height: Pixels.
    """
    kind = _element("4286", _whole(1)) + _element("42f7", _whole(1))
    kind += _element("42f2", _whole(4)) + _element("42f3", _whole(8))
    kind += (
        _element("4282", b"matroska") + _element("4287", _whole(4)) + _element("4285", _whole(2))
    )
    info = _element("2ad7b1", _whole(_NANOSECONDS_PER_TICK))
    info += _element("4d80", b"EdgeKit") + _element("5741", b"EdgeKit")
    info += _element("4489", duration_field(0))
    picture = _element("b0", _whole(width)) + _element("ba", _whole(height))
    track = _element("d7", _whole(_TRACK)) + _element("73c5", _whole(_TRACK))
    track += _element("83", _whole(_VIDEO)) + _element("9c", _whole(0))
    track += _element("86", codec.encode()) + _element("e0", picture)
    if private:
        track += _element("63a2", private)
    head = _element("1a45dfa3", kind) + bytes.fromhex("18538067") + _UNKNOWN_SIZE
    head += _element("1549a966", info)
    place = len(head) - len(duration_field(0))
    return head + _element("1654ae6b", _element("ae", track)), place


def duration_field(milliseconds: float) -> bytes:
    """The duration as it stands in the header."""
    return struct.pack(">d", milliseconds)


def cluster(packets: Sequence[tuple[int, bytes]]) -> bytes:
    """Frames that belong together; the first can be decoded without any before it.

    Args:
        packets: Of each frame the time, in milliseconds from the start of the video, and what the
            encoder made of it. At least one, and all within ``LONGEST_CLUSTER_MS``.
    """
    begin = packets[0][0]
    content = _element("e7", _whole(begin))
    for place, (time, packet) in enumerate(packets):
        flags = 0x00 if place else 0x80
        block = struct.pack(">BhB", 0x80 | _TRACK, time - begin, flags)
        content += _element("a3", block + packet)
    return _element("1f43b675", content)


def _element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + struct.pack(">Q", 1 << 56 | len(content)) + content


def _whole(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
