"""Prints text for people, on standard output and in logs."""

from __future__ import annotations

from typing import Any

from rich.console import Console as RichConsole

from edgekit._printable import printable

__all__ = ["Console"]


class Console(RichConsole):
    """A rich console that prints text literally: no markup, no emoji, control characters escaped.

    Args:
        stderr: Whether to print on standard error.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints like rich's console, but first makes each text printable."""
        shown = (printable(each, lines=True) if isinstance(each, str) else each for each in objects)
        super().print(*shown, **options)
