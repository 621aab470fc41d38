"""Stands in for a camera or stream that could not be opened, until it appears."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from edgekit.errors import MediaError, UsageError
from edgekit.media.sources.source import Source

__all__ = ["AbsentSource"]


class AbsentSource(Source):
    """Stands in for a live source that could not be opened.

    It gives no frame; ``reopened`` tries to open the source. Until then, its size is unknown.

    Args:
        name: Name for messages.
        error: Reason for the failure to open.
        open_again: Function that opens the source, like ``open_source``.
    """

    live = True
    reopens = True

    def __init__(self, name: str, error: MediaError, open_again: Callable[[], Source]) -> None:
        self.name = name
        self.error = error
        self._open_again = open_again

    def read(self) -> NoReturn:
        """Raises the error of the failed opening."""
        raise self.error

    def reopened(self) -> Source:
        """Opens the source and returns it.

        Raises:
            MediaError: The source still cannot be opened, or is a single picture, which a server
                may show in place of a camera that is away.
            UsageError: The source is a recording, and opening it later would lose frames.
        """
        source = self._open_again()
        self.fps = source.fps
        if not source.reopens:
            source.close()
            if source.frames in (None, 1):
                raise MediaError(f"The address of {self.name} gives a picture now, and no stream.")
            raise UsageError(
                f"{self.name} could not be reached at the start, so EdgeKit treated it as a live "
                "stream. It is a recording.",
                hint="Run EdgeKit again, now that the recording can be reached.",
            )
        return source

    def close(self) -> None:
        """Does nothing, because nothing is open."""
