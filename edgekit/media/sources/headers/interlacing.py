"""Detects interlaced video from the headers of its codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgekit.media.sources.headers._nal import H264, HEVC, unescaped, units_of

__all__ = ["is_interlaced"]

_HEVC_PARAMETERS = b"\x42\x01"
_SCALED_PROFILES = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))


def is_interlaced(codec: str, extradata: bytes, packets: Sequence[bytes]) -> bool:
    """Returns whether frames may consist of two fields; False if the headers do not tell.

    Args:
        codec: FourCC of the codec, as in AVI and MP4.
        extradata: Codec headers that the container stores.
        packets: First video packets; H.264 and HEVC with start codes.
    """
    name = codec.lower()
    extradata = _with_start_codes(name, extradata)
    first = next(iter(packets), b"")
    if name in H264:
        units = units_of([extradata, *packets])
        return any(_h264(unit) for unit in units if unit[:1] and unit[0] & 31 == 7)
    if name in HEVC:
        units = units_of([extradata, *packets])
        return any(_hevc(unit) for unit in units if unit[:1] and unit[0] >> 1 == 33)
    if name.startswith("dv") or first[:2] == b"\x1f\x07":
        return True
    if name[:2] == "ap" and first[4:8] == b"icpf":  # ProRes
        return len(first) > 20 and bool(first[20] >> 2 & 3)
    if name in ("avdn", "avdh") or first[:4] == b"\x00\x00\x02\x80":  # DNxHD
        return len(first) > 5 and bool(first[5] & 2)
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


def _with_start_codes(name: str, extradata: bytes) -> bytes:
    """Returns MP4 headers (avcC, hvcC) with a start code before H.264's or HEVC's parameters."""
    if extradata[:1] != b"\x01":
        return extradata
    if name in H264:
        return b"\0\0\1" + extradata[8 : 8 + int.from_bytes(extradata[6:8], "big")]
    place = extradata.find(_HEVC_PARAMETERS, 22) if name in HEVC else -1
    return extradata if place < 0 else b"\0\0\1" + extradata[place:]


def _by_start_codes(pieces: Sequence[bytes]) -> bool:
    for unit in units_of(pieces):
        code = unit[0] if unit else 0xFF
        if code == 0xB5 and len(unit) > 2 and unit[1] >> 4 == 1:  # MPEG-2, sequence extension
            return not unit[2] & 8
        tell: Callable[[_Bits], bool] | None = None
        if 0x20 <= code <= 0x2F:
            tell = _mpeg4
        elif code == 0x0F:
            tell = _vc1
        if tell is not None:
            try:
                return tell(_Bits(unit[1:]))
            except IndexError:
                return False
    return False


class _Bits:
    """Reads bits, most significant first. Raises ``IndexError`` at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._place >> 3]
            value = value << 1 | byte >> (7 - (self._place & 7)) & 1
            self._place += 1
        return value

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def _h264(unit: bytes) -> bool:
    """Returns whether a sequence parameter set allows fields: not frame_mbs_only_flag."""
    bits = _Bits(unescaped(unit)[1:])
    try:
        profile = bits.take(8)
        bits.take(16)
        bits.golomb()
        if profile in _SCALED_PROFILES:
            chroma = bits.golomb()
            bits.take(1 if chroma == 3 else 0)
            bits.golomb()
            bits.golomb()
            bits.take(1)
            if bits.take(1):
                for number in range(12 if chroma == 3 else 8):
                    if bits.take(1):
                        _skip_scaling_list(bits, 16 if number < 6 else 64)
        bits.golomb()
        order = bits.golomb()
        if order == 0:
            bits.golomb()
        elif order == 1:
            bits.take(1)
            bits.golomb()
            bits.golomb()
            for _ in range(min(bits.golomb(), 255)):
                bits.golomb()
        bits.golomb()
        bits.take(1)
        bits.golomb()
        bits.golomb()
        return not bits.take(1)
    except IndexError:
        return False


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _hevc(unit: bytes) -> bool:
    """Returns whether a sequence parameter set declares interlaced and not progressive source."""
    data = unescaped(unit[:32])
    return len(data) > 8 and data[8] >> 6 == 1


def _mpeg4(bits: _Bits) -> bool:
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


def _vc1(bits: _Bits) -> bool:
    """Reads the flag ``INTERLACE`` of the advanced profile."""
    if bits.take(2) != 3:
        return False
    bits.take(39)
    return bool(bits.take(1))
