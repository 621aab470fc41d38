from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit._printable import listed, printable, printable_json, size_text


def test_what_moves_the_cursor_or_hides_is_escaped() -> None:
    assert printable("\x1b[2J\x07\r\n\t\x9b\x7f") == r"\x1b[2J\x07\x0d\x0a\x09\x9b\x7f"
    assert (
        printable("a\u202eb\u2028\ufeff\U000e0041\ud800") == r"a\u202eb\u2028\ufeff\U000e0041\ud800"
    )
    assert printable("one\n\ttwo\x1b", lines=True) == "one\n\ttwo\\x1b"


def test_names_in_any_writing_stay() -> None:
    for name in ("Größe", "走る", "می‌دود", "👩‍🚒", "a\u00a0b", r"C:\x"):
        assert printable(name) == name


def test_of_thousands_of_names_the_first_are_listed() -> None:
    assert listed([]) == ""
    assert listed(["a", "b"], "|") == "a|b"
    names = [f"n{number}" for number in range(20_000)]
    assert listed(names[:50]) == ", ".join(names[:50])
    assert listed(names) == ", ".join(names[:50]) + " and 19950 more"


@given(st.text(st.characters()))
def test_nothing_that_is_left_controls_a_terminal(text: str) -> None:
    for lines in (False, True):
        shown = printable(text, lines=lines)
        left = {char for char in shown if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")}
        assert left <= ({"\n", "\t"} if lines else set())
    assert printable(printable(text)) == printable(text)


@given(st.dictionaries(st.text(), st.text()))
def test_json_means_the_same(content: dict[str, str]) -> None:
    text = json.dumps(content, ensure_ascii=False)
    shown = printable_json(text.encode()).decode()
    assert json.loads(shown) == content
    assert not any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in shown)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (5 * 10**12, "5000.0 GB"),
    ],
)
def test_sizes_have_the_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text
