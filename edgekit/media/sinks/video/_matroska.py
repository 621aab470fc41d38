"""Writes one video track as Matroska (RFC 9559); the file is playable after every cluster.

The segment has an unknown size until it is ended, so a reader plays what is there. Nothing needed
for playback comes last.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

from edgekit.media.sinks._whole_file import WholeFile
from edgekit.media.sinks.video.codecs import Track

__all__ = ["MatroskaFile"]

_TRACK = 1
_VIDEO = 1
_UNKNOWN_SIZE = bytes.fromhex("01ffffffffffffff")
_NANOSECONDS_PER_TICK = 1_000_000
_INFO, _TRACKS, _CUES, _CLUSTER = "1549a966", "1654ae6b", "1c53bb6b", "1f43b675"


class MatroskaFile:
    """A Matroska or WebM file with one video track.

    Args:
        file: Empty file; the header is written at once.
        track: Description of the track.
        webm: Whether the file declares itself as WebM.

    Raises:
        OutputError: The file cannot be written; any call may raise it.
    """

    def __init__(self, file: WholeFile, track: Track, *, webm: bool = False) -> None:
        self._file = file
        # Arrays, because a live video has a cluster in every second of months.
        self._times, self._places = array("Q"), array("Q")
        kind = _element("4286", _whole(1)) + _element("42f7", _whole(1))
        kind += _element("42f2", _whole(4)) + _element("42f3", _whole(8))
        kind += _element("4282", b"webm" if webm else b"matroska")
        kind += _element("4287", _whole(4)) + _element("4285", _whole(2))
        info = _element("2ad7b1", _whole(_NANOSECONDS_PER_TICK))
        info += _element("4d80", b"EdgeKit") + _element("5741", b"EdgeKit")
        info = _element(_INFO, info + _element("4489", _duration(0)))
        head = _element("1a45dfa3", kind) + bytes.fromhex("18538067")
        self._size_at = len(head)
        head += _UNKNOWN_SIZE
        self._segment_at = len(head)
        # Space for the seek head, which will hold the positions of the index and the other parts.
        space = len(_seek(((_INFO, 0), (_TRACKS, 0), (_CUES, 0))))
        self._info_at = space
        self._tracks_at = self._info_at + len(info)
        self._duration_at = self._segment_at + self._tracks_at - len(_duration(0))
        head += _element("ec", bytes(space - len(_element("ec", b"")))) + info
        file.add(head + _element(_TRACKS, _element("ae", _track(track))))

    def add(self, times: Sequence[float], packets: Sequence[bytes], end: float) -> None:
        """Appends a cluster, completely or not at all.

        Args:
            times: Milliseconds since the start of the video, all within 32 seconds, because
                a block's time is a signed 16-bit offset from the start of its cluster.
            packets: Encoded frames; the first one can be decoded on its own.
            end: Duration of the video up to and including these frames, in milliseconds.
        """
        begin = round(times[0])
        content = _element("e7", _whole(begin))
        for place, (time, packet) in enumerate(zip(times, packets, strict=True)):
            flags = 0x00 if place else 0x80
            block = struct.pack(">BhB", 0x80 | _TRACK, round(time) - begin, flags)
            content += _element("a3", block + packet)
        place = self._file.size - self._segment_at
        self._file.add(_element(_CLUSTER, content))
        self._times.append(begin)
        self._places.append(place)
        self._file.put(self._duration_at, _duration(end))

    def end(self) -> None:
        """Appends the index of the clusters, which players need to seek."""
        place = self._file.size - self._segment_at
        points = b"".join(map(_cue, self._times, self._places))
        self._file.add(_element(_CUES, points))
        parts = ((_INFO, self._info_at), (_TRACKS, self._tracks_at), (_CUES, place))
        self._file.put(self._segment_at, _seek(parts))
        self._file.put(self._size_at, _size(self._file.size - self._segment_at))


def _track(track: Track) -> bytes:
    height, width = track.size
    picture = _element("b0", _whole(width)) + _element("ba", _whole(height))
    if track.aspect != 1:
        shown_height, shown_width = track.shown
        picture += _element("54b0", _whole(shown_width)) + _element("54ba", _whole(shown_height))
    content = _element("d7", _whole(_TRACK)) + _element("73c5", _whole(_TRACK))
    content += _element("83", _whole(_VIDEO)) + _element("9c", _whole(0))
    content += _element("86", track.codec.matroska.encode()) + _element("e0", picture)
    if track.private:
        content += _element("63a2", track.private)
    return content


def _cue(time: int, cluster: int) -> bytes:
    where = _element("f7", _whole(_TRACK)) + _element("f1", _whole(cluster))
    return _element("bb", _element("b3", _whole(time)) + _element("b7", where))


def _seek(places: Sequence[tuple[str, int]]) -> bytes:
    entries = (
        _element("4dbb", _element("53ab", bytes.fromhex(name)) + _element("53ac", _eight(place)))
        for name, place in places
    )
    return _element("114d9b74", b"".join(entries))


def _duration(milliseconds: float) -> bytes:
    return struct.pack(">d", milliseconds)


def _element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + _size(len(content)) + content


def _size(count: int) -> bytes:
    return struct.pack(">Q", 1 << 56 | count)


def _eight(value: int) -> bytes:
    return struct.pack(">Q", value)


def _whole(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
