"""How far long work is, told by the work to whoever shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

__all__ = ["SILENT", "Progress"]

T = TypeVar("T")


class Progress:
    """Does nothing with what it is told. A subclass shows it."""

    def phase(self, note: str, total: int | None = None) -> None:
        """A new part of the work begins.

        Args:
            note: What is done, for people.
            total: Number of steps; None where it cannot be known.
        """

    def advance(self) -> None:
        """A step of the phase is done."""

    def count(self, note: str, items: Iterable[T], total: int | None) -> Iterator[T]:
        """The items, each being a step of a new phase."""
        self.phase(note, total)
        for item in items:
            yield item
            self.advance()

    def watch(self, note: str, items: Sequence[T]) -> Sequence[T]:
        """The same items; each pass over them is a phase of its own."""
        return _Watched(self, note, items)


SILENT = Progress()
"""Shows nothing."""


class _Watched(Sequence[T]):
    def __init__(self, progress: Progress, note: str, items: Sequence[T]) -> None:
        self._progress = progress
        self._note = note
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as that of the items
        return self._items[index]

    def __iter__(self) -> Iterator[T]:
        return self._progress.count(self._note, self._items, len(self._items))
