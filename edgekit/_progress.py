"""Lets long work report its progress to whoever shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from edgekit._checks import as_instance

__all__ = ["SILENT", "Progress", "as_progress"]

T = TypeVar("T")


class Progress:
    """Ignores the reported progress. A subclass shows it."""

    def phase(self, note: str, total: int | None = None) -> None:
        """Begins a new phase of the work.

        Args:
            note: Description of the phase, for people.
            total: Number of steps; None if it is unknown.
        """

    def advance(self) -> None:
        """Completes a step of the phase."""

    def note(self, text: str) -> None:
        """Shows a result of the work so far, such as the loss of an epoch.

        Args:
            text: Result, for people.
        """

    def count(self, note: str, items: Iterable[T], total: int | None) -> Iterator[T]:
        """Yields the items; each is a step of a new phase."""
        self.phase(note, total)
        for item in items:
            yield item
            self.advance()

    def watch(self, note: str, items: Sequence[T]) -> Sequence[T]:
        """Returns the items as a sequence; each pass over it is a phase of its own."""
        return _Watched(self, note, items)


SILENT = Progress()
"""Progress that shows nothing."""


def as_progress(progress: object) -> Progress:
    """Returns an argument that shows progress.

    Raises:
        UsageError: It is no ``Progress``.
    """
    return as_instance("progress", progress, Progress, "an edgekit._progress.Progress")


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
