"""Checks the indices, masks and class names by which a caller filters detections or tubes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit._checks import is_whole
from edgekit._printable import described
from edgekit.errors import OutOfRangeError, UsageError

__all__ = [
    "Array",
    "Classes",
    "Rows",
    "checked_names",
    "class_indices",
    "row_of",
    "rows_of",
]

Array: TypeAlias = npt.NDArray[Any]

Rows: TypeAlias = "slice | Sequence[int] | Sequence[bool] | Array"
"""Several rows: a slice, a mask with one bool for each row, or row numbers."""

Classes: TypeAlias = "str | int | Iterable[str | int]"
"""Classes by name or index: one of them, or several."""


def row_of(key: object, count: int) -> int | None:
    """Returns a row number from 0; None if ``key`` is no single number.

    Raises:
        OutOfRangeError: There is no such row.
    """
    if not is_whole(key):
        return None
    row = operator.index(key)  # type: ignore[arg-type]
    if not -count <= row < count:
        raise OutOfRangeError(f"Expected a row from {-count} to {count - 1}; found {row}.")
    return row % count


def rows_of(key: object, count: int) -> slice | Array:
    """Returns several rows as a slice, a mask (count,) bool, or row numbers (k,) int.

    Raises:
        UsageError: ``key`` is none of these, or a mask of another length.
        OutOfRangeError: A row number is out of range.
    """
    if isinstance(key, slice):
        if all(part is None or is_whole(part) for part in (key.start, key.stop, key.step)):
            return key
        raise UsageError(f"Expected whole numbers in a slice; found {key}.")
    try:
        rows = np.asarray(key)
    except ValueError:  # lists of different lengths
        rows = np.asarray(None)
    if rows.ndim == 1 and not rows.size and rows.dtype != np.bool_:
        return rows.astype(np.intp)
    if rows.ndim != 1 or rows.dtype.kind not in "biu":
        raise UsageError(
            f"Expected a row number, a slice, a mask of {count} bools, or row numbers; found "
            f"{described(key)}."
        )
    if rows.dtype == np.bool_:
        if len(rows) != count:
            raise UsageError(f"Expected a mask of {count} bools; found {len(rows)}.")
        return rows
    wrong = rows[(rows < -count) | (rows >= count)]
    if len(wrong):
        raise OutOfRangeError(f"Expected rows from {-count} to {count - 1}; found {wrong[0]}.")
    return rows.astype(np.intp)


def class_indices(classes: Classes, names: Sequence[str], count: int) -> list[int]:
    """Returns class indices, in the order given.

    Args:
        classes: Classes, by name or index.
        names: Class names, by class index; empty if they are not known.
        count: Number of classes.

    Raises:
        UsageError: There is no such class.
    """
    several = (
        [classes] if isinstance(classes, str) or not isinstance(classes, Iterable) else classes
    )
    return [_class_index(one, names, count) for one in several]


def _class_index(one: object, names: Sequence[str], count: int) -> int:
    if isinstance(one, str):
        if one in names:
            return names.index(one)
        known = ", ".join(names) if names else "none: these results do not know their class names"
        raise UsageError(f"Expected one of the classes ({known}); found {one!r}.")
    if is_whole(one):
        index = operator.index(one)  # type: ignore[arg-type]
        if 0 <= index < count:
            return index
        raise UsageError(f"Expected a class index from 0 to {count - 1}; found {index}.")
    raise UsageError(f"Expected a class name or a class index; found {described(one)}.")


def checked_names(classes: object) -> tuple[str, ...]:
    """Returns class names as a tuple.

    Raises:
        UsageError: ``classes`` is not a sequence of text.
    """
    if isinstance(classes, Iterable) and not isinstance(classes, (str, bytes)):
        names = tuple(classes)
        if all(isinstance(name, str) for name in names):
            return names
    raise UsageError(f"Expected a sequence of class names; found {described(classes)}.")
