"""Parses the sequence parameter set of H.264."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from edgekit.media.sources.headers._bits import Bits
from edgekit.media.sources.headers._nal import unescaped, units_of

__all__ = ["SequenceParameters", "Usability", "h264_sequences", "usability"]

_SCALED_PROFILES = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
_PARAMETERS = 7
_ANY_ASPECT = 255


class Usability(NamedTuple):
    """Usability information (VUI) of a sequence parameter set.

    Attributes:
        colours: Codes of ITU-T H.273 for primaries, transfer and matrix; empty if undeclared.
        ticks: Ticks of the clock per second; 0 if undeclared. H.264 has two ticks per frame.
    """

    colours: tuple[int, ...] = ()
    ticks: float = 0.0


class SequenceParameters(NamedTuple):
    """Values of a sequence parameter set.

    Attributes:
        fields: Whether frames may consist of two fields.
        colours: Codes of ITU-T H.273 for primaries, transfer and matrix; empty if undeclared.
        rate: Frames per second; 0 if undeclared.
    """

    fields: bool
    colours: tuple[int, ...] = ()
    rate: float = 0.0


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
                found = _usability(bits, fields)
                yield SequenceParameters(fields, found.colours, found.ticks / 2)
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


def _usability(bits: Bits, fields: bool) -> Usability:
    bits.take(2 if fields else 1)
    if bits.take(1):  # cropping
        for _ in range(4):
            bits.golomb()
    return usability(bits)


def usability(bits: Bits, *, hevc: bool = False) -> Usability:
    """Reads the usability information of H.264 or HEVC, from its flag to its clock."""
    if not bits.take(1):
        return Usability()
    if bits.take(1) and bits.take(8) == _ANY_ASPECT:
        bits.take(32)
    if bits.take(1):
        bits.take(1)
    colours: tuple[int, ...] = ()
    if bits.take(1):  # signal type
        bits.take(4)
        if bits.take(1):
            colours = bits.take(8), bits.take(8), bits.take(8)
    try:
        return Usability(colours, _ticks(bits, hevc))
    except IndexError:
        return Usability(colours)


def _ticks(bits: Bits, hevc: bool) -> float:
    if bits.take(1):  # place of the chroma samples
        bits.golomb()
        bits.golomb()
    if hevc:
        bits.take(3)
        if bits.take(1):  # default display window
            for _ in range(4):
                bits.golomb()
    if not bits.take(1):
        return 0.0
    length, scale = bits.take(32), bits.take(32)
    return scale / length if length else 0.0


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last
