"""Detects interlaced video from the headers of its codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgekit.media.sources.headers._bits import Bits
from edgekit.media.sources.headers._h264 import h264_sequences
from edgekit.media.sources.headers._nal import (
    H264,
    HEVC,
    unescaped,
    units_of,
    with_start_codes,
)

__all__ = ["is_interlaced"]


def is_interlaced(codec: str, extradata: bytes, packets: Sequence[bytes]) -> bool:
    """Returns whether frames may consist of two fields; False if the headers do not tell.

    Args:
        codec: FourCC of the codec, as in AVI and MP4.
        extradata: Codec headers that the container stores.
        packets: First video packets; H.264 and HEVC with start codes.
    """
    name = codec.lower()
    extradata = with_start_codes(name, extradata)
    first = next(iter(packets), b"")
    if name in H264:
        return any(sequence.fields for sequence in h264_sequences([extradata, *packets]))
    if name in HEVC:
        units = units_of([extradata, *packets])
        return any(_hevc(unit) for unit in units if unit[:1] and unit[0] >> 1 == 33)
    if name.startswith("dv") or first[:2] == b"\x1f\x07":
        return True
    if name[:2] == "ap" and first[4:8] == b"icpf":  # ProRes
        return len(first) > 20 and bool(first[20] >> 2 & 3)
    if name in ("avdn", "avdh") or first[:4] == b"\x00\x00\x02\x80":  # DNxHD
        return len(first) > 5 and bool(first[5] & 2)
    if name.startswith("ul") and len(extradata) == 16:  # Ut Video
        return bool(extradata[13] & 8)
    if name == "mjpb":
        return True
    if first[:2] == b"\xff\xd8":  # in JPEG, the APP0 segment AVI1 marks a single field
        place = first.find(b"AVI1", 0, 64)
        return place >= 0 and first[place + 4 : place + 5] in (b"\x01", b"\x02")
    # A start code inside the data of another codec means nothing.
    starts = any(piece.startswith(b"\x00\x00\x01") for piece in (extradata, first))
    if not (starts or name in ("wvc1", "vc-1")):
        return False
    return _by_start_codes([extradata, *packets])


def _by_start_codes(pieces: Sequence[bytes]) -> bool:
    for unit in units_of(pieces):
        code = unit[0] if unit else 0xFF
        if code == 0xB5 and len(unit) > 2 and unit[1] >> 4 == 1:  # MPEG-2, sequence extension
            return not unit[2] & 8
        tell: Callable[[Bits], bool] | None = None
        if 0x20 <= code <= 0x2F:
            tell = _mpeg4
        elif code == 0x0F:
            tell = _vc1
        if tell is not None:
            try:
                return tell(Bits(unit[1:]))
            except IndexError:
                return False
    return False


def _hevc(unit: bytes) -> bool:
    """Returns whether a sequence parameter set declares interlaced and not progressive source."""
    data = unescaped(unit[:32])
    return len(data) > 8 and data[8] >> 6 == 1


def _mpeg4(bits: Bits) -> bool:
    """Reads the flag ``interlaced`` of a video object layer."""
    bits.take(9)
    if bits.take(1):
        bits.take(7)
    if bits.take(4) == 15:
        bits.take(16)
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            bits.take(79)
    shape = bits.take(2)
    bits.take(1)
    ticks = bits.take(16)
    bits.take(1)
    if bits.take(1):
        bits.take(max(1, (ticks - 1).bit_length()))
    if shape == 0:
        bits.take(29)
    return bool(bits.take(1))


def _vc1(bits: Bits) -> bool:
    """Reads the flag ``INTERLACE`` of the advanced profile."""
    if bits.take(2) != 3:
        return False
    bits.take(39)
    return bool(bits.take(1))
