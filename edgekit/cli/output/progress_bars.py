"""Shows the progress of long work as bars on standard error, if that is a terminal."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgekit._closing import Closing
from edgekit._printable import printable
from edgekit._progress import Progress
from edgekit.cli.options.shared import is_quiet

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["BarProgress", "PhaseBars", "progress_bar"]

_LOG = logging.getLogger(__name__)


def progress_bar() -> RichProgress:
    """Returns a progress bar on standard error, silent without a terminal or with ``--quiet``."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from edgekit.cli.output.console import Console

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        disable=not console.is_terminal or is_quiet(),
    )


class BarProgress(Progress):
    """Shows work with several phases as one task of a progress bar, and logs each phase.

    Args:
        bar: Progress bar from ``progress_bar``.
        name: Name of the work.
    """

    def __init__(self, bar: RichProgress, name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=None, note="")

    def phase(self, note: str, total: int | None = None) -> None:
        """Restarts the bar with the total of the new phase."""
        self._bar.reset(self._task, total=total, note=printable(note))
        _LOG.info("%s%s", note, f", {total} in all" if total else "")

    def advance(self) -> None:
        """Advances the bar by one."""
        self._bar.advance(self._task)


class PhaseBars(Progress, Closing):
    """A bar for each phase, from the first phase to the end of the block.

    Args:
        log_notes: Whether to log the notes if there is no terminal.
    """

    def __init__(self, *, log_notes: bool = True) -> None:
        self._bar = progress_bar()
        self._log_notes = log_notes
        self._task: TaskID | None = None

    def close(self) -> None:
        """Stops the bars."""
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
