"""Tests the checks of options, and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from edgekit._options import check_types, keep_paths
from edgekit.errors import UsageError


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


@dataclass(frozen=True)
class Places:
    out: str | Path | None = None

    def __post_init__(self) -> None:
        keep_paths(self, "out")


def test_text_becomes_a_path() -> None:
    assert Places("a/b").out == Path("a/b")
    assert Places().out is None
    with pytest.raises(UsageError, match=r"^Expected out to be a path, .*; found ''"):
        Places("")
