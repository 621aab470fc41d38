"""Checks single arguments of a method, and returns them as the type that it works with."""

from __future__ import annotations

import math
import numbers
import operator
import os
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edgekit.errors import UsageError

__all__ = [
    "described",
    "instance",
    "is_bool",
    "is_whole",
    "number",
    "path",
    "picture",
    "size",
    "whole",
]

T = TypeVar("T")

_LONGEST = 60


def described(value: object) -> str:
    """Returns what a value is, for a message: type and shape of an array, else value and type."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"an array of {dtype} {shape}"
    if value is None:
        return "None"
    try:
        text = repr(value)
    except Exception:  # a message must not fail
        text = ""
    if not text or len(text) > _LONGEST or not text.isprintable():
        return f"a value of type {type(value).__name__}"
    return f"{text} of type {type(value).__name__}"


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
    if is_whole(value) and operator.index(value) >= least:  # type: ignore[arg-type]
        return operator.index(value)  # type: ignore[arg-type]
    raise UsageError(
        f"Expected {name} as a whole number from {least} up; found {described(value)}."
    )


def number(name: str, value: object, *, least: float = -math.inf) -> float:
    """Returns an argument that is a finite number from ``least`` up.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, numbers.Real) and not is_bool(value):
        found = float(value)
        if math.isfinite(found) and found >= least:
            return found
    limit = "" if least == -math.inf else f" from {least:g} up"
    raise UsageError(f"Expected {name} as a finite number{limit}; found {described(value)}.")


def size(name: str, value: object) -> tuple[int, int]:
    """Returns an argument that is a width and a height in pixels.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, (tuple, list)) and len(value) == 2:
        width, height = (whole(name, side, least=1) for side in value)
        return width, height
    raise UsageError(
        f"Expected {name} to be a pair (width, height) in pixels; found {described(value)}."
    )


def picture(name: str, value: object) -> npt.NDArray[np.uint8]:
    """Returns an argument that is a picture, (H, W, 3) uint8, with at least one pixel.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size:
        found: npt.NDArray[np.uint8] = value
        if found.ndim == 3 and found.shape[2] == 3:
            return found
    raise UsageError(
        f"Expected {name} as a BGR picture, an array of uint8 (H, W, 3); found {described(value)}."
    )


def path(name: str, value: object) -> Path:
    """Returns an argument that names a file or folder.

    Raises:
        UsageError: It is no text and no path, or empty.
    """
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, str) and text and "\0" not in text:
            return Path(text)
    raise UsageError(
        f"Expected {name} to be a path, as a string or a path object; found {described(value)}."
    )


def instance(name: str, value: object, kind: type[T], words: str = "") -> T:
    """Returns an argument that is an instance of a class.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        kind: Class that it must have.
        words: Description of what is expected; the default is the name of the class.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, kind):
        return value
    raise UsageError(f"Expected {name} as {words or kind.__name__}; found {described(value)}.")
