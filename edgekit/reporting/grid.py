"""Defines a table of text, to be drawn in a terminal, in Markdown or in HTML."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["Grid"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table.

    Attributes:
        title: Subject of the table, and its unit.
        headings: Headings of the columns.
        rows: Cells of each row.
        words: Number of leading columns that contain text; the others contain numbers.
        wrapped: Columns whose cells may be wrapped at spaces.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    wrapped: Collection[int] = ()
