"""Checks the fields of options, which are frozen dataclasses, while they are made."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from edgekit._checks import as_path, unexpected
from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.files.reading import real_path

__all__ = ["check_files", "check_types", "keep_paths"]


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


def check_files(outputs: Mapping[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Checks that no output would replace an input or another output.

    Args:
        outputs: Files to write, by the name of their option; None for one that is not asked for.
        inputs: Files to read; None for one that is not given.

    Raises:
        UsageError: A file to write is among the others.
    """
    taken = {real_path(path) for path in inputs if path is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        if real_path(path) in taken:
            raise UsageError(
                f"{parameter(name, path)} is already the file of another option.",
                hint="Name another file.",
            )
        taken.add(real_path(path))


def keep_paths(options: object, *names: str) -> None:
    """Turns text in fields of a frozen dataclass into paths, while it is being made.

    Raises:
        UsageError: A field holds neither a path nor None, or empty text.
    """
    for name in names:
        object.__setattr__(options, name, as_path(name, getattr(options, name)))


def _fits(value: object, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
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
