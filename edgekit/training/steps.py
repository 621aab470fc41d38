"""Follows the steps of a run: shows them, estimates the remaining time, and saves the run."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgekit._parameters import parameter
from edgekit._printable import plural
from edgekit._progress import Progress
from edgekit.training.estimate import seconds_left
from edgekit.training.settings import Settings

__all__ = ["Steps"]

_SAVE_EVERY = 600.0
"""Seconds after which the state is saved within an epoch."""

_MEASURED_STEPS = 5
"""Steps after which the rest of the run is estimated; the first one is not measured."""


class Steps:
    """Counts the steps of a run.

    Args:
        settings: Settings of the run.
        finished: Number of steps that were finished before.
        progress: Display of the progress.
        say: Function that shows the user how long the rest will take, or that there is none.
        save: Function that saves the state of the run.

    Attributes:
        seconds: Estimated seconds of the rest of the run; None before there is an estimate.
    """

    def __init__(
        self,
        settings: Settings,
        finished: int,
        progress: Progress,
        say: Callable[[str], None],
        save: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._finished = finished
        self._progress = progress
        self._say = say
        self._save = save
        self._taken = 0
        self.seconds: float | None = None
        self._began = self._saved = time.monotonic()
        if finished == settings.epochs * settings.steps:
            say(
                f"This run has trained all of its epochs ({settings.epochs}); nothing is left to "
                f"do. To train on, begin a new run with {parameter('origin', 'WEIGHTS')}"
            )

    def advance(self) -> None:
        """Completes a step."""
        self._taken += 1
        self._progress.advance()
        now = time.monotonic()
        if self._taken == 1:
            self._began = now
        epoch, step = divmod(self._finished + self._taken, self._settings.steps)
        if self._taken == 1 + _MEASURED_STEPS and epoch < self._settings.epochs:
            each = (now - self._began) / _MEASURED_STEPS
            self.seconds = seconds_left(self._settings, epoch, step, each)
            self._say(f"About {_in_words(self.seconds)} for the rest of the run.")
        # The end of an epoch is saved when it is validated and in the history.
        if step and now - self._saved > _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Saves the state of the run."""
        self._save()
        self._saved = time.monotonic()


def _in_words(seconds: float) -> str:
    if seconds < 120:
        count = max(1, round(seconds))
        return f"{count} {plural('second', count)}"
    if seconds < 7200:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
