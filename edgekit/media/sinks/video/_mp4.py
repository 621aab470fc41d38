"""Writes one video track as MP4 (ISO/IEC 14496-12), with any time for each frame."""

from __future__ import annotations

import itertools
import struct
from array import array
from collections.abc import Sequence

from edgekit.media.sinks._whole_file import WholeFile
from edgekit.media.sinks.video.codecs import H264, Track

__all__ = ["Mp4File"]

_TICKS_PER_SECOND = 90_000
_TICKS_PER_MS = _TICKS_PER_SECOND // 1000
_BLOCK = 1 << 22
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Mp4File:
    """An MP4 file with one video track, playable after ``end``.

    ``end`` moves the index before the frames, so that a browser can play before the download is
    complete.

    Args:
        file: Empty file; the header is written at once.
        track: Description of the track, in H.264 or MPEG-4 Part 2.

    Raises:
        OutputError: The file cannot be written; any call may raise it.
    """

    def __init__(self, file: WholeFile, track: Track) -> None:
        self._file = file
        self._track = track
        self._ticks = array("Q")
        self._sizes = array("L")
        self._runs: list[tuple[int, int]] = []
        self._end = 0
        brands = b"isom" + struct.pack(">I", 0x200) + b"isomiso2mp41"
        file.add(_box(b"ftyp", brands))
        self._data_at = file.size
        file.add(_data_header(0))

    def add(self, times: Sequence[float], packets: Sequence[bytes], end: float) -> None:
        """Appends a group of frames.

        Args:
            times: Milliseconds since the start of the video, increasing.
            packets: Encoded frames; the first one can be decoded on its own.
            end: Duration of the video up to and including these frames, in milliseconds.
        """
        self._runs.append((self._file.size, len(packets)))
        self._file.add(b"".join(packets))
        self._sizes.extend(map(len, packets))
        for time in times:
            # Two frames at the same time would give the first one a duration of 0.
            least = self._ticks[-1] + 1 if self._ticks else 0
            self._ticks.append(max(round(time * _TICKS_PER_MS), least))
        self._end = max(round(end * _TICKS_PER_MS), self._ticks[-1] + 1)

    def end(self) -> None:
        """Writes the index before the frames."""
        size = self._file.size - self._data_at
        self._file.put(self._data_at, _data_header(size))
        shift = len(self._index(0))
        self._file.add(bytes(shift))
        for place in reversed(range(0, size, _BLOCK)):
            block = self._file.get(self._data_at + place, min(_BLOCK, size - place))
            self._file.put(self._data_at + place + shift, block)
        self._file.put(self._data_at, self._index(shift))

    def _index(self, shift: int) -> bytes:
        times = struct.pack(">QQIQ", 0, 0, _TICKS_PER_SECOND, self._end)
        movie = times + struct.pack(">IHHQ", 0x10000, 0x100, 0, 0) + _MATRIX
        movie += bytes(24) + struct.pack(">I", 2)
        height, width = (min(side, 0xFFFF) for side in self._track.shown)
        head = struct.pack(">QQIIQQHHHH", 0, 0, 1, 0, self._end, 0, 0, 0, 0, 0) + _MATRIX
        head += struct.pack(">II", width << 16, height << 16)
        undetermined = 0x55C4
        media = _full(b"mdhd", times + struct.pack(">HH", undetermined, 0), version=1)
        media += _full(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"EdgeKit\0")
        media += _box(b"minf", self._media_information(shift))
        track = _full(b"tkhd", head, version=1, flags=3) + _box(b"mdia", media)
        return _box(b"moov", _full(b"mvhd", movie, version=1) + _box(b"trak", track))

    def _media_information(self, shift: int) -> bytes:
        place = _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1))
        description = struct.pack(">I", 1) + _sample_entry(self._track)
        table = _full(b"stsd", description) + _full(b"stts", self._durations())
        firsts = itertools.accumulate((count for _, count in self._runs), initial=1)
        keys = [first for first, _ in zip(firsts, self._runs, strict=False)]
        table += _full(b"stss", _counted(keys))
        chunks = [(number, count, 1) for number, (_, count) in enumerate(self._runs, 1)]
        table += _full(b"stsc", _counted(list(itertools.chain(*chunks)), 3))
        table += _full(b"stsz", struct.pack(">I", 0) + _counted(self._sizes))
        places = [place + shift for place, _ in self._runs]
        table += _full(b"co64", struct.pack(f">I{len(places)}Q", len(places), *places))
        return _full(b"vmhd", bytes(8), flags=1) + _box(b"dinf", place) + _box(b"stbl", table)

    def _durations(self) -> bytes:
        steps = (b - a for a, b in itertools.pairwise(itertools.chain(self._ticks, [self._end])))
        # The table has 32 bits for a step, which 13 hours exceed.
        steps = (min(step, 0xFFFFFFFF) for step in steps)
        pairs = [(sum(1 for _ in group), step) for step, group in itertools.groupby(steps)]
        return _counted(list(itertools.chain(*pairs)), 2)


def _sample_entry(track: Track) -> bytes:
    height, width = track.size
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", width, height)
    entry += struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    if track.codec is H264:
        entry += _box(b"avcC", track.private)
    else:
        entry += _full(b"esds", _stream_descriptor(track.private))
    if track.aspect != 1:
        entry += _box(b"pasp", struct.pack(">II", *track.aspect.as_integer_ratio()))
    return _box(b"avc1" if track.codec is H264 else b"mp4v", entry)


def _stream_descriptor(private: bytes) -> bytes:
    visual, video_stream = 0x20, 0x11
    decoder = struct.pack(">BBxxxII", visual, video_stream, 0, 0) + _descriptor(5, private)
    stream = struct.pack(">HB", 1, 0) + _descriptor(4, decoder) + _descriptor(6, b"\x02")
    return _descriptor(3, stream)


def _descriptor(tag: int, content: bytes) -> bytes:
    count = len(content)
    sevens = bytes((count >> bits & 0x7F) | (0x80 if bits else 0) for bits in (21, 14, 7, 0))
    return bytes([tag]) + sevens + content


def _counted(values: Sequence[int], columns: int = 1) -> bytes:
    return struct.pack(f">I{len(values)}I", len(values) // columns, *values)


def _data_header(size: int) -> bytes:
    return struct.pack(">I4sQ", 1, b"mdat", size)


def _full(name: bytes, content: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags) + content)


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content
