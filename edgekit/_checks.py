"""Checks options and the values that callers give, and words what was expected and found."""

from __future__ import annotations

import dataclasses
import math
import os
import types
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from edgekit._parameters import parameter
from edgekit.errors import UsageError

__all__ = [
    "as_path",
    "as_paths",
    "as_sequence",
    "check_choice",
    "check_range",
    "check_types",
    "described",
    "keep_paths",
    "required_path",
    "unexpected",
]

T = TypeVar("T")

_LONGEST = 80
"""Characters of a value that a message shows."""


def check_types(options: object) -> None:
    """Checks that each field of a dataclass holds a value of its annotated type.

    An integer is a valid float, and True is no integer. A sequence is a list or tuple.

    Raises:
        UsageError: A field holds something else. The message names field, value and type. The value
            is not shown if it may contain a secret: of a field with ``repr=False``, or for other
            options.
    """
    hints = get_type_hints(type(options))
    for field in dataclasses.fields(options):  # type: ignore[arg-type]  # a dataclass, as said
        value, hint = getattr(options, field.name), hints[field.name]
        if not _fits(value, hint):
            secret = not field.repr or dataclasses.is_dataclass(hint)
            raise unexpected(field.name, _named(hint), value, secret=secret)


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
        if isinstance(text, str) and text and "\0" not in text:
            return Path(text)
    raise unexpected(name, "a path, as a string or a path object", value)


def as_path(name: str, value: str | os.PathLike[str] | None) -> Path | None:
    """Returns a value as a path, as ``required_path`` does; None stays None."""
    return None if value is None else required_path(name, value)


def keep_paths(options: object, *names: str) -> None:
    """Turns text in fields of a frozen dataclass into paths, while it is being made.

    Raises:
        UsageError: A field holds neither a path nor None, or empty text.
    """
    for name in names:
        object.__setattr__(options, name, as_path(name, getattr(options, name)))


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


def check_range(
    name: str, value: float | None, low: float, high: float = math.inf, *, above: bool = False
) -> None:
    """Checks that a number is finite and in a range; None passes.

    Args:
        name: Name of the parameter, for the error.
        value: Number to check.
        low: Lowest number that is allowed.
        high: Highest number that is allowed.
        above: Whether the number has to be larger than ``low``.

    Raises:
        UsageError: The number is out of range.
    """
    if value is None:
        return
    if not (low <= value <= high and math.isfinite(value)) or (above and value == low):
        limits = f"{'more than' if above else 'at least'} {low:g}" if low > -math.inf else "finite"
        limits += f" and at most {high:g}" if high < math.inf else ""
        raise UsageError(f"Expected {parameter(name)} to be {limits}; found {value}.")


def check_choice(name: str, value: str | None, choices: Collection[str], *, hint: str = "") -> None:
    """Checks that a name is one of the possible ones; None passes.

    Args:
        name: Name of the parameter, for the error.
        value: Name to check.
        choices: Names that are possible.
        hint: Sentence that helps whoever gave another name.

    Raises:
        UsageError: The name is not among them.
    """
    if value is not None and value not in choices:
        raise UsageError(
            f"Expected {parameter(name)} to be one of {', '.join(choices)}; found {value!r}.",
            hint=hint,
        )


def unexpected(name: str, expected: str, value: object, *, secret: bool = False) -> UsageError:
    """Returns the error for a value that is not what was expected.

    Args:
        name: Name of the parameter.
        expected: Description of what it should be.
        value: Value that the caller gave.
        secret: Whether the value may contain a secret; only its type is then shown.
    """
    found = described(value, secret=secret)
    return UsageError(f"Expected {parameter(name)} to be {expected}; found {found}.")


def described(value: object, *, secret: bool = False) -> str:
    """Returns what a value is, for a message: type and shape of an array, else value and type.

    Args:
        value: Value that the caller gave.
        secret: Whether it may contain a secret; only its type is then shown.
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"an array of {dtype} {shape}"
    if value is None:
        return "None"
    try:
        text = "" if secret else repr(value)
    except Exception:  # a message must not fail
        text = ""
    if not text.isprintable() or not text:
        return f"a value of type {type(value).__name__}"
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return f"{shown}, of type {type(value).__name__}"


def _fits(value: object, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple and parts[-1] is not ...:
        return (
            isinstance(value, list | tuple)
            and len(value) == len(parts)
            and all(map(_fits, value, parts))
        )
    if origin in (tuple, Sequence):
        return isinstance(value, list | tuple) and all(_fits(each, parts[0]) for each in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)


def _named(hint: Any) -> str:
    """Returns a type as people write it: ``int or None``."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_named, parts))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is not None:
        inner = ", ".join("..." if part is ... else _named(part) for part in parts)
        return f"{origin.__name__}[{inner}]"
    return "None" if hint is type(None) else str(hint.__name__)
