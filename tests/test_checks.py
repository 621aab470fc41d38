"""Tests the checks of arguments, and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edgekit._checks import (
    as_path,
    check_choice,
    check_range,
    check_types,
    described,
    required_path,
)
from edgekit.errors import UsageError


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no words")


@dataclass(frozen=True)
class Options:
    count: int = 1
    rate: float = 1.0
    sure: bool = False
    size: tuple[int, int] | None = None
    names: Sequence[str] = ()
    kind: Literal["a", "b"] = "a"
    out: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)


@pytest.mark.parametrize(
    "values",
    [
        {"rate": 1},
        {"size": [3, 4], "names": ["x"]},
        {"names": ("x", "y"), "kind": "b", "sure": True},
        {"out": Path("x")},
    ],
)
def test_values_that_fit(values: dict[str, Any]) -> None:
    assert all(getattr(Options(**values), name) == value for name, value in values.items())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"count": 1.5}, "Expected count to be int; found 1.5, of type float."),
        ({"count": True}, "Expected count to be int; found True, of type bool."),
        ({"count": None}, "Expected count to be int; found None."),
        ({"rate": "1"}, "Expected rate to be float; found '1', of type str."),
        ({"sure": 1}, "Expected sure to be bool; found 1, of type int."),
        ({"size": (1, 2, 3)}, "Expected size to be tuple[int, int] or None; found (1, 2, 3)"),
        ({"names": "xy"}, "Expected names to be Sequence[str]; found 'xy', of type str."),
        ({"names": [1]}, "Expected names to be Sequence[str]; found [1], of type list."),
        ({"kind": "c"}, "Expected kind to be 'a' or 'b'; found 'c', of type str."),
        ({"out": "x"}, "Expected out to be Path or None; found 'x', of type str."),
        ({"count": "x" * 99}, f"found '{'x' * 76}..., of type str."),
    ],
)
def test_values_of_another_type(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options(**values)
    assert words in caught.value.message


@dataclass(frozen=True)
class Secrets:
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_types(self)


@pytest.mark.parametrize(
    ("value", "found"), [(["hush"], "a value of type list"), (b"hush", "a value of type bytes")]
)
def test_a_secret_of_another_type_is_not_shown(value: Any, found: str) -> None:
    with pytest.raises(UsageError) as caught:
        Secrets(value)
    assert caught.value.message == f"Expected token to be str or None; found {found}."


def test_paths() -> None:
    assert as_path("out", None) is None
    assert as_path("out", "a/b") == as_path("out", Path("a/b")) == Path("a/b")
    for wrong in ("", 5, b"a", "a\0b"):
        with pytest.raises(
            UsageError, match=r"^Expected out to be a path, as a string or a path object; found "
        ):
            as_path("out", wrong)  # type: ignore[arg-type]
    assert required_path("out", "a") == Path("a")
    with pytest.raises(UsageError, match=r"to be a path, .*; found None\.$"):
        required_path("out", None)


def test_values_that_fit_no_line() -> None:
    assert described(np.zeros((2, 3))) == "an array of float64 (2, 3)"
    assert described("\x1b") == "'\\x1b', of type str"
    assert described(Unprintable()) == "a value of type Unprintable"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 11, 0])
def test_numbers_out_of_range(value: float) -> None:
    with pytest.raises(UsageError) as caught:
        check_range("rate", value, 0, 10, above=True)
    expected = f"Expected rate to be more than 0 and at most 10; found {value}."
    assert caught.value.message == expected


def test_numbers_in_range() -> None:
    for value in (None, 1, 10, 0.5):
        check_range("rate", value, 0, 10, above=True)
    check_range("rate", 0, 0)
    with pytest.raises(UsageError, match=r"^Expected rate to be at least 0; found -1\.$"):
        check_range("rate", -1, 0)


def test_choices() -> None:
    check_choice("kind", None, ("a", "b"))
    check_choice("kind", "a", ("a", "b"))
    with pytest.raises(UsageError, match=r"^Expected kind to be one of a, b; found 'c'\.$"):
        check_choice("kind", "c", ("a", "b"))
