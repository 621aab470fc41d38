"""Lists the declared colours that FFmpeg's scaler cannot convert."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.media.sources.headers._h264 import h264_sequences
from edgekit.media.sources.headers._hevc import hevc_sequences
from edgekit.media.sources.headers._nal import H264, HEVC, units_of, with_start_codes

__all__ = ["MATRICES", "PRIMARIES", "TRANSFERS", "are_convertible", "declares_unconvertible"]

# Codes of ITU-T H.273. The scaler of FFmpeg 8 returns an error for the others, or crashes.
PRIMARIES = frozenset((*range(13), 22))
TRANSFERS = frozenset((*range(9), *range(11, 19)))
MATRICES = frozenset((0, 1, 2, 4, 5, 6, 7, 9))

_PRORES = b"icpf"
_MPEG2_EXTENSION, _DISPLAY = 0xB5, 2


def are_convertible(colours: Sequence[int]) -> bool:
    """Returns whether the scaler converts these primaries, transfer and matrix, if any."""
    known = (PRIMARIES, TRANSFERS, MATRICES)
    return all(code in codes for code, codes in zip(colours, known, strict=False))


def declares_unconvertible(codec: str, extradata: bytes, packets: Sequence[bytes]) -> bool:
    """Returns whether the codec's headers declare colours that the scaler cannot convert.

    H.264, HEVC, MPEG-2 and ProRes declare colours.

    Args:
        codec: FourCC of the codec, as in AVI and MP4.
        extradata: Codec headers that the container stores.
        packets: First video packets, with start codes.
    """
    name = codec.lower()
    pieces = [with_start_codes(name, extradata), *packets]
    if name in H264:
        return not all(are_convertible(sequence.colours) for sequence in h264_sequences(pieces))
    if name in HEVC:
        return not all(are_convertible(sequence.colours) for sequence in hevc_sequences(pieces))
    if packets and packets[0][4:8] == _PRORES:
        return not are_convertible(packets[0][22:25])
    if not packets or not packets[0].startswith(b"\x00\x00\x01"):
        return False
    for unit in units_of(pieces):
        displays = len(unit) > 4 and unit[0] == _MPEG2_EXTENSION and unit[1] >> 4 == _DISPLAY
        if displays and unit[1] & 1 and not are_convertible(unit[2:5]):
            return True
    return False
