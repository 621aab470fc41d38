"""Checks single arguments of a method, and returns them as the type that it works with."""

from __future__ import annotations

import math
import numbers
import operator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edgekit._checks import check_range, unexpected

__all__ = [
    "instance",
    "is_bool",
    "is_whole",
    "number",
    "picture",
    "size",
    "whole",
]

T = TypeVar("T")


def is_whole(value: object) -> bool:
    """Returns whether a value is a whole number, and no bool."""
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not is_bool(value)


def is_bool(value: object) -> bool:
    """Returns whether a value is Python's or numpy's True or False."""
    return isinstance(value, (bool, np.bool_))


def whole(name: str, value: object, *, least: int) -> int:
    """Returns an argument that is a whole number from ``least`` up.

    Raises:
        UsageError: It is not.
    """
    if not is_whole(value):
        raise unexpected(name, "a whole number", value)
    found = operator.index(value)  # type: ignore[arg-type]
    check_range(name, found, least)
    return found


def number(name: str, value: object, *, least: float = -math.inf) -> float:
    """Returns an argument that is a finite number from ``least`` up.

    Raises:
        UsageError: It is not.
    """
    if not isinstance(value, numbers.Real) or is_bool(value):
        raise unexpected(name, "a number", value)
    check_range(name, float(value), least)
    return float(value)


def size(name: str, value: object) -> tuple[int, int]:
    """Returns an argument that is a width and a height in pixels.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, (tuple, list)) and len(value) == 2:
        width, height = (whole(name, side, least=1) for side in value)
        return width, height
    raise unexpected(name, "a pair (width, height) in pixels", value)


def picture(name: str, value: object) -> npt.NDArray[np.uint8]:
    """Returns an argument that is a picture, (H, W, 3) uint8, with at least one pixel.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size:
        found: npt.NDArray[np.uint8] = value
        if found.ndim == 3 and found.shape[2] == 3:
            return found
    raise unexpected(name, "a BGR picture, an array of uint8 (H, W, 3)", value)


def instance(
    name: str, value: object, kind: type[T], words: str = "", *, secret: bool = False
) -> T:
    """Returns an argument that is an instance of a class.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        kind: Class that it must have.
        words: Description of what is expected; the default is the name of the class.
        secret: Whether the value may contain a secret; the error then shows only its type.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, kind):
        return value
    raise unexpected(name, words or kind.__name__, value, secret=secret)
