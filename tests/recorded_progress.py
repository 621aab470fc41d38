"""Records what long work reports as its progress."""

from __future__ import annotations

from edgekit._progress import Progress

__all__ = ["RecordedProgress"]


class RecordedProgress(Progress):
    """Records reports in order: a phase as its note and total, a step as ``step``, a note as text.

    Of a note, it records the text before the first comma, without measured values.
    """

    def __init__(self) -> None:
        self.seen: list[object] = []

    def phase(self, note: str, total: int | None = None) -> None:
        self.seen.append((note, total))

    def advance(self) -> None:
        self.seen.append("step")

    def note(self, text: str) -> None:
        self.seen.append(text.partition(",")[0])
