"""Parses the sequence parameter set of H.264."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgekit.media.sources.headers._bits import Bits
from edgekit.media.sources.headers._nal import unescaped, units_of

__all__ = ["SequenceParameters", "declared_colours", "h264_sequences"]

_SCALED_PROFILES = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
_PARAMETERS = 7
_ANY_ASPECT = 255


class SequenceParameters(NamedTuple):
    """Values of a sequence parameter set.

    Attributes:
        fields: Whether frames may consist of two fields.
        colours: Codes of ITU-T H.273 for primaries, transfer and matrix; empty if undeclared.
    """

    fields: bool
    colours: tuple[int, ...] = ()


def h264_sequences(pieces: Sequence[bytes]) -> Iterator[SequenceParameters]:
    """Yields the readable sequence parameter sets of an H.264 stream with start codes."""
    for unit in units_of(pieces):
        if unit[:1] and unit[0] & 31 == _PARAMETERS:
            bits = Bits(unescaped(unit)[1:])
            try:
                fields = _allows_fields(bits)
            except IndexError:
                continue
            try:
                yield SequenceParameters(fields, _colours(bits, fields))
            except IndexError:
                yield SequenceParameters(fields)


def _allows_fields(bits: Bits) -> bool:
    """Reads up to frame_mbs_only_flag, and returns its opposite."""
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


def _colours(bits: Bits, fields: bool) -> tuple[int, ...]:
    bits.take(2 if fields else 1)
    if bits.take(1):  # cropping
        for _ in range(4):
            bits.golomb()
    return declared_colours(bits)


def declared_colours(bits: Bits) -> tuple[int, ...]:
    """Reads the usability information (VUI) of H.264 or HEVC, from its flag to its colours."""
    if not bits.take(1):
        return ()
    if bits.take(1) and bits.take(8) == _ANY_ASPECT:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    if not bits.take(1):  # signal type
        return ()
    bits.take(4)
    return (bits.take(8), bits.take(8), bits.take(8)) if bits.take(1) else ()


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last
