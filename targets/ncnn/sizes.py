"""DEVICE. Sizes of ncnn's blobs (its tensors), and the checks that the rules of layers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from edgekit.targets.ncnn.param import NcnnLayer

__all__ = [
    "MOST_KERNEL",
    "MOST_SIDE",
    "Blob",
    "RuleResult",
    "WeightArray",
    "fixed",
    "given",
    "within",
]

MOST_SIDE = 1 << 16
MOST_KERNEL = 64


class Blob(NamedTuple):
    """Size of a blob, and the number of bits of its values: 32 for float32, 8 for integers."""

    channels: int
    height: int
    width: int
    bits: int = 32

    @property
    def values(self) -> int:
        """Number of values."""
        return self.channels * self.height * self.width


@dataclass(frozen=True, slots=True)
class WeightArray:
    """One array of weights in the file ``.bin``.

    Attributes:
        layer: Name of its layer.
        role: Purpose: ``weight``, ``bias``, or another name in ncnn's documentation.
        count: Number of values.
        marked: Whether the file has a mark of the type before the values.
        integer: Whether the type must be an 8-bit integer.
    """

    layer: str
    role: str
    count: int
    marked: bool = False
    integer: bool = False


@dataclass(frozen=True, slots=True)
class RuleResult:
    """Result of a rule: sizes of the outputs, and arrays of weights in the order of the file."""

    outputs: list[Blob]
    weights: list[WeightArray] = field(default_factory=list)


def given(blobs: Sequence[Blob], count: int, *, integers: bool = False) -> None:
    """Checks the number of inputs, and that they are floats unless ``integers`` are possible."""
    if len(blobs) != count:
        raise ValueError(f"expected {count} inputs; found {len(blobs)}")
    if not integers and any(blob.bits != 32 for blob in blobs):
        raise ValueError("an input has integers instead of floats")


def within(layer: NcnnLayer, key: int, low: int, high: int, default: int = 0) -> int:
    """Returns a parameter that must be an integer between two others, or the default."""
    value = layer.whole(key, default)
    if not low <= value <= high:
        raise ValueError(f"expected parameter {key} to be from {low} to {high}; found {value}")
    return value


def fixed(layer: NcnnLayer, **expected: int) -> None:
    """Checks parameters that have one possible value; their names are ``p`` and the number."""
    for name, value in expected.items():
        if layer.whole(int(name[1:]), value) != value:
            raise ValueError(f"expected parameter {name[1:]} to be {value}")
