"""A camera or stream that could not be opened, and may come yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from edgekit.errors import MediaError, UsageError
from edgekit.media.source import Source

__all__ = ["AbsentSource"]


class AbsentSource(Source):
    """Stands in for a live source that could not be opened.

    It gives no frame; ``reopened`` tries to open the source. The size is unknown until then.

    Args:
        name: For people.
        error: Why it could not be opened.
        open_again: Opens it, as ``open_source`` does.
    """

    live = True
    reopens = True

    def __init__(self, name: str, error: MediaError, open_again: Callable[[], Source]) -> None:
        self.name = name
        self.error = error
        self._open_again = open_again

    def read(self) -> NoReturn:
        """Raises why the source could not be opened."""
        raise self.error

    def reopened(self) -> Source:
        """The source, open.

        Raises:
            MediaError: It still cannot be opened.
            UsageError: It is a recording, of which frames would be lost here.
        """
        source = self._open_again()
        self.fps = source.fps
        if not source.reopens:
            source.close()
            raise UsageError(
                f"{self.name} was expected to be a live stream when it was not there, and is a "
                "recording.",
                mend="Run EdgeKit again, now that it is there.",
            )
        return source

    def close(self) -> None:
        """Nothing is open."""
