"""Lists the chips that a QNN context can be compiled for."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CHIPS", "Chip"]


class Chip(NamedTuple):
    """A chip in the terms of Qualcomm's library.

    Attributes:
        soc_model: Number of the chip.
        htp_arch: Version of its neural processor (HTP).
    """

    soc_model: int
    htp_arch: int


CHIPS = {
    "sm8550": Chip(43, 73),
    "qcs9100": Chip(77, 73),
    "sm8450": Chip(36, 69),
    "sm8650": Chip(57, 75),
    "sm8750": Chip(69, 79),
    "sm8850": Chip(87, 81),
}
"""Chips by name, the default first; those without float16 (HTP v68) are left out."""
