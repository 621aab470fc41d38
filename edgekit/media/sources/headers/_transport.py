"""Lists the video streams of an MPEG transport stream."""

from __future__ import annotations

import mmap

__all__ = ["transport_videos"]

_SYNC = 0x47
_LOOKED_AT = 1 << 22
_VIDEO_TYPES = frozenset((0x01, 0x02, 0x10, 0x1B, 0x24, 0x33, 0xEA))
"""MPEG-1, MPEG-2, MPEG-4, H.264, HEVC, VVC and VC-1."""


def transport_videos(data: mmap.mmap) -> int:
    """Returns how many video streams the programs list near the start; 0 if there are none.

    Raises:
        IndexError: A table is damaged.
    """
    size, offset = next(
        (form for form in ((188, 0), (192, 4), (204, 0)) if _has_packets(data, *form)), (0, 0)
    )
    if not size:
        return 0
    tables, videos = {0}, set[int]()
    for place in range(offset, min(len(data) - 188, _LOOKED_AT), size):
        pid = int.from_bytes(data[place + 1 : place + 3], "big") & 0x1FFF
        if pid not in tables or not data[place + 1] & 0x40:
            continue
        content = data[place + 4 : place + 188]
        if data[place + 3] & 0x20:  # an adaptation field comes first
            content = content[1 + content[0] :]
        section = content[1 + content[0] :]
        if pid:
            videos |= _videos_of(section)
        else:
            tables |= _programs_of(section)
        tables.discard(pid)
        if not tables:
            break
    return len(videos)


def _has_packets(data: mmap.mmap, size: int, offset: int) -> bool:
    places = range(offset, offset + 3 * size, size)
    return len(data) > places[-1] and all(data[place] == _SYNC for place in places)


def _programs_of(section: bytes) -> set[int]:
    """Returns the packet identifiers of the tables of a stream's programs."""
    entries = (section[place : place + 4] for place in range(8, _end_of(section) - 3, 4))
    return {_identifier(entry[2:]) for entry in entries if any(entry[:2])}


def _videos_of(section: bytes) -> set[int]:
    """Returns the packet identifiers of the video streams of a program."""
    videos = set()
    place = 12 + _length(section[10:])
    while place + 5 <= _end_of(section):
        if section[place] in _VIDEO_TYPES:
            videos.add(_identifier(section[place + 1 :]))
        place += 5 + _length(section[place + 3 :])
    return videos


def _end_of(section: bytes) -> int:
    """Returns where the entries end, before the checksum."""
    return min(3 + _length(section[1:]) - 4, len(section))


def _identifier(field: bytes) -> int:
    return int.from_bytes(field[:2], "big") & 0x1FFF


def _length(field: bytes) -> int:
    return int.from_bytes(field[:2], "big") & 0xFFF
