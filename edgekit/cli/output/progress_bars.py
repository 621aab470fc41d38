"""Shows the progress of long work as bars on standard error, if that is a terminal."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING

from edgekit._printable import printable
from edgekit._progress import Progress
from edgekit.cli.options.shared import progress_bar

if TYPE_CHECKING:
    from rich.progress import TaskID
    from typing_extensions import Self

__all__ = ["PhaseBars"]

_LOG = logging.getLogger(__name__)


class PhaseBars(Progress):
    """A bar for each phase, from the first phase to the end of the block.

    Args:
        log_notes: Whether to log the notes if there is no terminal.
    """

    def __init__(self, *, log_notes: bool = True) -> None:
        self._bar = progress_bar()
        self._log_notes = log_notes
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._bar.stop()

    def phase(self, note: str, total: int | None = None) -> None:
        """Adds a bar."""
        self._bar.start()
        self._task = self._bar.add_task(printable(note), total=total, note="")

    def advance(self) -> None:
        """Advances the newest bar by one."""
        assert self._task is not None
        self._bar.advance(self._task)

    def note(self, text: str) -> None:
        """Shows the text beside the newest bar."""
        assert self._task is not None
        self._bar.update(self._task, note=printable(text))
        if self._bar.disable and self._log_notes:
            _LOG.warning("%s", text)
