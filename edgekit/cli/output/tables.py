"""Prints tables that fit the terminal without breaking any name or number.

A table that is too wide first wraps its headings, then the columns that may be wrapped, and then
drops the lines between columns. If that is not enough, each row becomes a block with one line per
cell.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from edgekit._printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from edgekit.reporting.grid import Grid

__all__ = ["KEPT", "print_facts", "print_grid", "print_table"]

KEPT = "\u00a0"
"""Stands for a space within a name, at which text must not be wrapped."""

_GAP = 2
_WIDEST_NAME = 24


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Sequence[Sequence[str] | None],
    *,
    title: str = "",
    words: int = 1,
    wrapped: Collection[int] = (),
) -> None:
    """Prints a table within the width of the console; longer names stay whole.

    Args:
        console: Console to print on.
        headings: Heading of each column, which may be wrapped at spaces.
        rows: Cells as plain text; None draws a line between rows.
        title: Title of the table.
        words: Number of first columns that hold words, aligned left; the others hold numbers.
        wrapped: Columns whose cells may be wrapped at spaces. Columns of names are never among
            them, because names may contain spaces.
    """
    rows = [row if row is None else [printable(cell, lines=True) for cell in row] for row in rows]
    if title:
        _print(console, "\n".join(_wrapped(title, console.width)))
    cells = [row for row in rows if row is not None]
    for lined, may_wrap in ((True, ()), (True, wrapped), (False, wrapped)):
        frame = 3 * len(headings) + 1 if lined else _GAP * (len(headings) - 1)
        widths = _fitting(headings, cells, may_wrap, console.width - frame)
        if widths is not None:
            console.print(_drawn(headings, rows, widths, words, lined=lined))
            return
    for row in cells:
        _print_block(console, headings, row, words, wrapped)


def print_grid(console: Console, grid: Grid) -> None:
    """Prints a table of a report."""
    print_table(
        console,
        grid.headings,
        grid.rows,
        title=grid.title,
        words=grid.words,
        wrapped=grid.wrapped,
    )


def print_facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    """Prints names and their descriptions, which are wrapped at spaces."""
    gutter = min(max((_width(name) for name, _ in facts), default=0), _WIDEST_NAME) + _GAP
    for name, value in ((printable(name), printable(value, lines=True)) for name, value in facts):
        beside = _width(name) < gutter and gutter + _longest_word(value) <= console.width
        start = gutter if beside else 4
        lines = [" " * start + line for line in _wrapped(value, console.width - start)]
        if beside and lines:
            lines[0] = name + " " * (gutter - _width(name)) + lines[0][gutter:]
        else:
            lines.insert(0, name)
        _print(console, "\n".join(lines))


def _wrapped(text: str, width: int) -> list[str]:
    """Wraps text to ``width`` at spaces only; longer words stay whole."""
    lines = [
        textwrap.wrap(line, max(width, 1), break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    ]
    return [line for part in lines for line in part or [""]]


def _print(console: Console, text: str) -> None:
    console.print(text.replace(KEPT, " "), soft_wrap=True, markup=False, highlight=False)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))


def _longest_word(text: str) -> int:
    return max(map(_width, text.replace("\n", " ").split(" ")))


def _fitting(
    headings: Sequence[str], rows: Sequence[Sequence[str]], wrapped: Collection[int], room: int
) -> list[int] | None:
    """Returns the width of each column so that all fit into ``room``; None if they cannot."""
    widths, least = [], []
    columns = [[row[place] for row in rows] for place in range(len(headings))]
    for place, (heading, column) in enumerate(zip(headings, columns, strict=True)):
        whole = max(map(_width, column), default=0)
        shortest = max(map(_longest_word, column), default=0) if place in wrapped else whole
        widths.append(max(whole, _width(heading)))
        least.append(max(shortest, _longest_word(heading)))
    if sum(least) > room:
        return None
    while sum(widths) > room:
        spare = [place for place in range(len(widths)) if widths[place] > least[place]]
        widths[max(spare, key=lambda place: widths[place])] -= 1
    return [  # use the width of the wrapped lines
        max(_width("\n".join(_wrapped(text, width))) for text in (heading, *column))
        for heading, width, column in zip(headings, widths, columns, strict=True)
    ]


def _drawn(
    headings: Sequence[str],
    rows: Sequence[Sequence[str] | None],
    widths: Sequence[int],
    words: int,
    *,
    lined: bool,
) -> Any:
    from rich.table import Table
    from rich.text import Text

    def cell(text: str, place: int) -> Text:
        return Text("\n".join(_wrapped(text, widths[place])).replace(KEPT, " "))

    table = Table() if lined else Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for place, (heading, width) in enumerate(zip(headings, widths, strict=True)):
        side: Any = "left" if place < words else "right"
        table.add_column(cell(heading, place), width=width, justify=side, no_wrap=True)
    for row in rows:
        if row is None:
            table.add_section()
        else:
            table.add_row(*(cell(text, place) for place, text in enumerate(row)))
    return table


def _print_block(
    console: Console,
    headings: Sequence[str],
    row: Sequence[str],
    words: int,
    wrapped: Collection[int],
) -> None:
    """Prints a row as lines: its name, then a line for each heading."""
    for place, cell in enumerate(row[:words]):
        if cell and (place == 0 or not headings[place]):
            _print(console, f"{'  ' * place}{cell}")
    start = next((place for place in range(1, len(row)) if headings[place]), len(row))
    indent = "  " * min(start, words)
    gutter = max(map(_width, headings[start:]), default=0) + _GAP
    for place in range(start, len(row)):
        heading, cell = headings[place], row[place]
        if not cell:
            continue
        beside = len(indent) + gutter
        fits = beside + (_longest_word(cell) if place in wrapped else _width(cell)) <= console.width
        left = beside if fits else len(indent) + 2
        width = console.width - left if place in wrapped else _width(cell)
        lines = [" " * left + line for line in _wrapped(cell, width)]
        if fits:
            lines[0] = f"{indent}{heading}".ljust(beside) + lines[0][beside:]
        else:
            lines.insert(0, f"{indent}{heading}")
        _print(console, "\n".join(lines))
