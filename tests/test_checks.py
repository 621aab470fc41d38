"""Tests the checks of arguments, and their errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit._checks import (
    as_number,
    as_path,
    as_picture,
    as_size,
    as_whole,
    check_choice,
    check_range,
    is_whole,
    required_path,
)
from edgekit._printable import described
from edgekit.errors import UsageError


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no words")


def test_paths() -> None:
    assert as_path("out", None) is None
    assert as_path("out", "a/b") == as_path("out", Path("a/b")) == Path("a/b")
    for wrong in ("", 5, b"a", "a\0b", "a\ud800"):
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
    with pytest.raises(UsageError, match="one of a for the target x; found 'c'") as caught:
        check_choice("kind", "c", ("a",), where="for the target x", hint="Use a.")
    assert caught.value.hint == "Use a."


@pytest.mark.parametrize("value", [3, np.int8(3), np.array(3)])
def test_whole_numbers(value: object) -> None:
    found = as_whole("count", value, least=3)
    assert found == 3
    assert type(found) is int


@pytest.mark.parametrize("value", [True, np.True_, np.array(True), 3.0, np.float32(3), "3", None])
def test_what_is_no_whole_number(value: object) -> None:
    assert not is_whole(value)
    with pytest.raises(UsageError, match=r"^Expected count to be a whole number; found "):
        as_whole("count", value, least=0)


def test_numbers() -> None:
    assert [as_number("rate", value) for value in (2, 0.5, np.float32(0.5))] == [2.0, 0.5, 0.5]
    for value in (True, np.True_, "1", None):
        with pytest.raises(UsageError, match=r"^Expected rate to be a number; found "):
            as_number("rate", value)


def test_sizes_and_pictures() -> None:
    assert as_size("size", [4, np.int64(3)]) == (4, 3)
    picture = np.zeros((4, 3, 3), np.uint8)
    assert as_picture("image", picture) is picture
    with pytest.raises(UsageError, match=r"to be a pair \(width, height\) in pixels; found \(4,\)"):
        as_size("size", (4,))
    for wrong in (picture[0], picture[:0], picture.astype(float), "picture"):
        with pytest.raises(UsageError, match="image to be a BGR picture"):
            as_picture("image", wrong)
    with pytest.raises(UsageError, match=r"found None\.\nOpenCV returns None for a picture"):
        as_picture("image", None)
