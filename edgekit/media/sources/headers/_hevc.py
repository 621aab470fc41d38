"""Parses the sequence parameter set of HEVC as far as its colours and its clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.media.sources.headers._bits import Bits
from edgekit.media.sources.headers._h264 import Usability, usability
from edgekit.media.sources.headers._nal import unescaped, units_of

__all__ = ["hevc_sequences"]

_PARAMETERS = b"\x42\x01"
"""Header of a sequence parameter set of the base layer."""

_LONGEST = 4096
_PROFILE, _LEVEL = 88, 8
_MOST_SETS = 64


def hevc_sequences(pieces: Sequence[bytes]) -> Iterator[Usability]:
    """Yields what the readable sequence parameter sets of an HEVC stream with start codes declare.

    HEVC has one tick of the clock per frame.
    """
    for unit in units_of(pieces):
        if unit.startswith(_PARAMETERS):
            bits = Bits(unescaped(unit[:_LONGEST])[2:])
            try:
                _skip_to_usability(bits)
                yield usability(bits, hevc=True)
            except IndexError:
                continue


def _skip_to_usability(bits: Bits) -> None:
    """Reads all that comes before ``vui_parameters_present_flag``."""
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    _skip_profiles(bits, layers)
    bits.golomb()
    if bits.golomb() == 3:
        bits.take(1)
    _skip_numbers(bits, 2)
    if bits.take(1):  # cropping
        _skip_numbers(bits, 4)
    _skip_numbers(bits, 2)
    order_bits = bits.golomb() + 4
    _skip_numbers(bits, 3 * (layers + 1 if bits.take(1) else 1))
    _skip_numbers(bits, 6)
    if bits.take(1) and bits.take(1):
        _skip_scaling_lists(bits)
    bits.take(2)
    if bits.take(1):  # samples without compression
        bits.take(8)
        _skip_numbers(bits, 2)
        bits.take(1)
    pictures = 0
    for number in range(min(bits.golomb(), _MOST_SETS)):
        pictures = _skip_reference_set(bits, number, pictures)
    if bits.take(1):
        bits.take(bits.golomb() * (order_bits + 1))
    bits.take(2)


def _skip_profiles(bits: Bits, layers: int) -> None:
    bits.take(_PROFILE + _LEVEL)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(_PROFILE * profile + _LEVEL * level)


def _skip_scaling_lists(bits: Bits) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if bits.take(1):
                _skip_numbers(bits, (size > 1) + min(64, 16 << 2 * size))
            else:
                bits.golomb()


def _skip_reference_set(bits: Bits, number: int, pictures: int) -> int:
    """Reads a set of reference pictures, and returns how many it has.

    Args:
        bits: Bits of the sequence parameter set.
        number: Index of the set.
        pictures: Number of pictures in the set before.
    """
    if number and bits.take(1):  # described by its differences from the set before
        bits.take(1)
        bits.golomb()
        return sum(bits.take(1) or bits.take(1) for _ in range(pictures + 1))
    count = bits.golomb() + bits.golomb()
    for _ in range(count):
        bits.golomb()
        bits.take(1)
    return count


def _skip_numbers(bits: Bits, count: int) -> None:
    for _ in range(count):
        bits.golomb()
