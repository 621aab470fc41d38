"""Reads the frame rate that the headers of a codec declare."""

from __future__ import annotations

from edgekit.media.sources.headers._h264 import h264_sequences
from edgekit.media.sources.headers._hevc import hevc_sequences
from edgekit.media.sources.headers._nal import H264, HEVC, with_start_codes

__all__ = ["declared_rate"]


def declared_rate(codec: str, extradata: bytes) -> float:
    """Returns the frames per second that the headers of H.264 or HEVC declare, else 0.

    Args:
        codec: FourCC of the codec, as in AVI and MP4.
        extradata: Headers of the codec.
    """
    name = codec.lower()
    pieces = [with_start_codes(name, extradata)]
    rates: list[float] = []
    if name in H264:
        rates = [sequence.rate for sequence in h264_sequences(pieces)]
    elif name in HEVC:
        rates = [sequence.ticks for sequence in hevc_sequences(pieces)]
    return next(filter(None, rates), 0.0)
