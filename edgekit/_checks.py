"""Checks single arguments; the error says what was expected and what was found.

A function ``as_...`` returns the argument as the type that the caller works with.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from edgekit._parameters import parameter
from edgekit._printable import described, listed
from edgekit.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "as_flag",
    "as_instance",
    "as_number",
    "as_path",
    "as_paths",
    "as_picture",
    "as_sequence",
    "as_size",
    "as_whole",
    "can_be_path",
    "check_callable",
    "check_choice",
    "check_range",
    "is_whole",
    "required_path",
    "unexpected",
    "unless_none",
]

T = TypeVar("T")

_MOST_WHOLE = 1 << 53
"""Largest whole number of an argument; numpy and floats have all up to it."""


def required_path(name: str, value: object) -> Path:
    """Returns a value as a path.

    Args:
        name: Name of the parameter, for the error.
        value: Value that the caller gave.

    Raises:
        UsageError: The value is no path, or is empty text.
    """
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if isinstance(text, str) and can_be_path(text):
            return Path(text)
    raise unexpected(name, "a path, as a string or a path object", value)


def can_be_path(text: str) -> bool:
    """Returns whether text can name a file: it is not empty, and the system can encode it."""
    try:
        return bool(text) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # half of a character
        return False


def as_path(name: str, value: str | os.PathLike[str] | None) -> Path | None:
    """Returns a value as a path, as ``required_path`` does; None stays None."""
    return None if value is None else required_path(name, value)


def as_paths(
    name: str, value: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
) -> tuple[Path, ...]:
    """Returns one path or a sequence of paths as a tuple.

    Args:
        name: Name of the parameter, for the error.
        value: Value that the caller gave.

    Raises:
        UsageError: It is neither, or a path is empty text.
    """
    many = value if isinstance(value, list | tuple) else (value,)
    return tuple(required_path(name, each) for each in many)


def as_sequence(value: T | Sequence[T]) -> Sequence[T]:
    """Returns a list or tuple as it is, and anything else as the only item of a tuple."""
    return value if isinstance(value, list | tuple) else (cast("T", value),)


def is_whole(value: object) -> bool:
    """Returns whether a value is a whole number, and neither Python's nor numpy's True or False."""
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not (isinstance(value, bool) or getattr(value, "dtype", None) == "bool")


def as_whole(name: str, value: object, *, least: int, most: int = _MOST_WHOLE) -> int:
    """Returns an argument that is a whole number from ``least`` to ``most``.

    Raises:
        UsageError: It is not.
    """
    if not is_whole(value):
        raise unexpected(name, "a whole number", value)
    found = operator.index(value)  # type: ignore[arg-type]
    check_range(name, found, least, most if found > most else math.inf)
    return found


def as_number(name: str, value: object, *, least: float = -math.inf) -> float:
    """Returns an argument that is a finite number from ``least`` up.

    Raises:
        UsageError: It is not.
    """
    import numbers  # the help of commands does without it

    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise unexpected(name, "a number", value)
    try:
        found = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        raise unexpected(name, "a finite number", value) from None
    check_range(name, found, least)
    return found


def as_size(name: str, value: object) -> tuple[int, int]:
    """Returns an argument that is a width and a height in pixels.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, (tuple, list)) and len(value) == 2:
        width, height = (as_whole(name, side, least=1) for side in value)
        return width, height
    raise unexpected(name, "a pair (width, height) in pixels", value)


def as_picture(name: str, value: object) -> npt.NDArray[np.uint8]:
    """Returns an argument that is a picture, (H, W, 3) uint8, with at least one pixel.

    Raises:
        UsageError: It is not.
    """
    import numpy as np  # the help of commands does without it

    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.size:
        found: npt.NDArray[np.uint8] = value
        if found.ndim == 3 and found.shape[2] == 3:
            return found
    absent = "OpenCV returns None for a picture that it cannot read, and at the end of a video."
    hint = absent if value is None else ""
    raise unexpected(name, "a BGR picture, an array of uint8 (H, W, 3)", value, hint=hint)


def as_instance(name: str, value: object, kind: type[T], words: str, *, secret: bool = False) -> T:
    """Returns an argument that is an instance of a class.

    Args:
        name: Name of the argument.
        value: Value of the argument.
        kind: Class that it must have.
        words: Description of what is expected.
        secret: Whether the value may contain a secret; the error then shows only its type.

    Raises:
        UsageError: It is not.
    """
    if isinstance(value, kind):
        return value
    raise unexpected(name, words, value, secret=secret)


def as_flag(name: str, value: object) -> bool:
    """Returns an argument that is True or False.

    Raises:
        UsageError: It is neither.
    """
    return as_instance(name, value, bool, "True or False")


def unless_none(check: Callable[..., T], name: str, value: object, **limits: float) -> T | None:
    """Returns an argument as ``check`` does, a function such as ``as_whole``; None stays None.

    Raises:
        UsageError: It is not None, and not what ``check`` expects.
    """
    return None if value is None else check(name, value, **limits)


def check_callable(name: str, value: object, words: str, *, hint: str = "") -> None:
    """Checks that an argument can be called.

    Args:
        name: Name of the argument.
        value: Value of the argument, of which the error shows only the type.
        words: Description of the function that is expected.
        hint: Sentence that helps whoever gave something else.

    Raises:
        UsageError: It cannot.
    """
    if not callable(value):
        raise unexpected(name, words, value, hint=hint, secret=True)


def check_range(
    name: str,
    value: float | None,
    low: float,
    high: float = math.inf,
    *,
    above: bool = False,
    hint: str = "",
) -> None:
    """Checks that a number is finite and in a range; None passes.

    Args:
        name: Name of the parameter, for the error.
        value: Number to check.
        low: Lowest number that is allowed.
        high: Highest number that is allowed.
        above: Whether the number has to be larger than ``low``.
        hint: Sentence that helps whoever gave another number.

    Raises:
        UsageError: The number is out of range.
    """
    if value is None:
        return
    if not (low <= value <= high and abs(value) < math.inf) or (above and value == low):
        limits = f"{'more than' if above else 'at least'} {low:g}" if low > -math.inf else "finite"
        limits += f" and at most {high:g}" if high < math.inf else ""
        raise UsageError(f"Expected {parameter(name)} to be {limits}; found {value}.", hint=hint)


def check_choice(
    name: str, value: str | None, choices: Collection[str], *, where: str = "", hint: str = ""
) -> None:
    """Checks that a name is one of the possible ones; None passes.

    Args:
        name: Name of the parameter, for the error.
        value: Name to check.
        choices: Names that are possible.
        where: What they are possible for, such as ``for the target onnx``; empty if always.
        hint: Sentence that helps whoever gave another name.

    Raises:
        UsageError: The name is not among them.
    """
    if not (value is None or (isinstance(value, str) and value in choices)):
        known = f"one of {listed(choices)}{where and f' {where}'}"
        found = repr(value) if isinstance(value, str) else described(value)
        raise UsageError(f"Expected {parameter(name)} to be {known}; found {found}.", hint=hint)


def unexpected(
    name: str, expected: str, value: object, *, hint: str = "", secret: bool = False
) -> UsageError:
    """Returns the error for a value that is not what was expected.

    Args:
        name: Name of the parameter.
        expected: Description of what it should be.
        value: Value that the caller gave.
        hint: Sentence that helps whoever gave the value.
        secret: Whether the value may contain a secret; only its type is then shown.
    """
    found = described(value, secret=secret)
    return UsageError(f"Expected {parameter(name)} to be {expected}; found {found}.", hint=hint)
