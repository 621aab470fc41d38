"""Builds arrays of numbers from their description in a pickle."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

__all__ = ["Dtype", "Unbuilt", "UnreadablePickle", "array_of"]

_TYPE = re.compile(r"b1|[iu][1248]|f[248]")
_TEXT = re.compile(r"U[0-9]{1,6}")
_ORDERS = ("|", "<", ">", "=")
_MOST_SIDES, _LONGEST = 32, 1 << 31


class UnreadablePickle(ValueError):
    """A pickle holds more than plain data; the message says what, as a clause."""


class Dtype:
    """A type of numbers, or of a single text, while it is being built."""

    def __init__(self, code: object) -> None:
        self.is_text = isinstance(code, str) and _TEXT.fullmatch(code) is not None
        if not isinstance(code, str) or not (self.is_text or _TYPE.fullmatch(code)):
            shown = repr(code[:40]) if isinstance(code, str) else "that is no text"
            raise UnreadablePickle(
                f"it holds numpy values of type {shown}, and numbers were expected"
            )
        self.code, self.order = code, "="

    def set_order(self, order: object) -> None:
        """Sets the byte order: ``<``, ``>``, ``|`` or ``=``, as numpy writes it."""
        if order not in _ORDERS:
            raise UnreadablePickle("it holds numbers in an unknown order of bytes")
        self.order = str(order)

    @property
    def numbers(self) -> np.dtype[Any]:
        """The numpy type for an array of numbers."""
        if self.is_text:
            raise UnreadablePickle(f"it holds an array of text of type {self.code}")
        return np.dtype(f"{self.order}{self.code}")

    def text(self, raw: bytes) -> str:
        """Decodes a single text from numpy's memory layout."""
        codec = "utf-32-be" if self.order == ">" else "utf-32-le"
        return raw.decode(codec).rstrip("\0")


class Unbuilt:
    """An array whose state is not known yet; ``places`` are its positions in the memo."""

    def __init__(self) -> None:
        self.places: list[int] = []


def array_of(raw: object, dtype: object, shape: object, order: Any) -> Any:
    """Returns a read-only array over the bytes of a pickle.

    Raises:
        UnreadablePickle: The bytes are not numbers, or their count does not fit the shape.
    """
    if not isinstance(raw, bytes) or not isinstance(dtype, Dtype):
        raise UnreadablePickle(f"it holds an array of {type(raw).__name__}, not of numbers")
    numbers = dtype.numbers
    sides = shape if isinstance(shape, tuple) else (shape,)
    # Other values are not even shown: the text of nested tuples can be endless.
    if not all(type(side) is int and 0 <= side < _LONGEST for side in sides) or (
        math.prod(sides) * numbers.itemsize != len(raw) or len(sides) > _MOST_SIDES
    ):
        raise UnreadablePickle(
            f"it claims an array of {numbers} whose shape does not fit its {len(raw)} bytes"
        )
    values = np.frombuffer(raw, numbers) if raw else np.empty(0, numbers)
    return values.reshape(sides, order=order)
