"""Names the clips in their folder, and removes old ones."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import stat
import time
from pathlib import Path
from typing import NamedTuple

from edgekit.files.output_paths import refuse_unwritable_folder, writing

__all__ = ["ClipFolder"]

_LOG = logging.getLogger(__name__)
_TIDY_SECONDS = 60.0
_NAME = re.compile(r"(\d{8}T\d{6}-\d+(?:-\d+)?)\.(?:mp4|json)")


class _KeptClip(NamedTuple):
    is_own: bool
    seconds: float
    size: int
    files: list[Path]


class ClipFolder:
    """A folder of clips, with limits on their total size and age.

    Clips of this run are newer than all others, whatever the clock of the machine showed: a board
    without a battery-backed clock may begin in 1970.

    Args:
        path: Path of the folder.
        most_bytes: Largest total size in bytes; None for no limit. The newest clip always stays.
        most_seconds: Largest age of a clip in seconds; None for no limit.
    """

    def __init__(
        self, path: Path, *, most_bytes: int | None = None, most_seconds: float | None = None
    ) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._most_seconds = most_seconds
        self._is_limited = not (most_bytes is None and most_seconds is None)
        self._warned = False
        self._tidied = 0.0
        self._completed: dict[str, float] = {}

    def check(self) -> None:
        """Raises ``OutputError`` if the folder cannot be created or written to."""
        refuse_unwritable_folder(self.path)

    def make(self) -> None:
        """Creates the folder if it does not exist.

        Raises:
            OutputError: The folder cannot be created.
        """
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def free_name(self, wanted: str) -> str:
        """Returns ``wanted``, with a number appended if a clip of that name exists.

        A board without a battery-backed clock may start every day at the same second, with tube 1.
        """
        names = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
        return next(
            name
            for name in names
            if not any(
                os.path.lexists(self.path / f"{name}{ending}") for ending in (".mp4", ".json")
            )
        )

    def add(self, name: str) -> None:
        """Takes a clip that is complete for the newest one, and removes those beyond the limits.

        Args:
            name: Name of the clip, without its ending.
        """
        if self._is_limited:  # otherwise nothing would forget it
            self._completed[name] = time.monotonic()
        self.tidy()

    def tidy(self) -> None:
        """Removes clips that are too old, then the oldest ones until the total size fits."""
        self._tidied = time.monotonic()
        if not self._is_limited:
            return
        try:
            clips = self._clips()
        except OSError as error:
            self._warn(error)
            return
        total = sum(clip.size for clip in clips)
        for clip in clips[:-1]:
            old = self._most_seconds is not None and clip.seconds > self._most_seconds
            large = self._most_bytes is not None and total > self._most_bytes
            if not (old or large):
                continue  # one of this run may be too old after one that the clock sets in future
            try:
                for file in clip.files:
                    file.unlink(missing_ok=True)
            except OSError as error:  # such as one of another user
                self._warn(error)
            else:
                total -= clip.size

    def _warn(self, error: OSError) -> None:
        level = logging.INFO if self._warned else logging.WARNING
        self._warned = True
        _LOG.log(level, "Old clips in %s cannot be removed: %s.", self.path, error.strerror)

    def tidy_in_time(self) -> None:
        """Calls ``tidy`` if that was long ago: clips grow old even if there are no new ones."""
        if time.monotonic() - self._tidied > _TIDY_SECONDS:
            self.tidy()

    def _clips(self) -> list[_KeptClip]:
        """Returns age, size and files of each clip, oldest first; links and folders are none."""
        found: dict[str, list[tuple[Path, os.stat_result]]] = {}
        for file in self.path.iterdir():
            if match := _NAME.fullmatch(file.name):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    if stat.S_ISREG((status := file.lstat()).st_mode):
                        found.setdefault(match[1], []).append((file, status))
        self._completed = {name: at for name, at in self._completed.items() if name in found}
        now, here = time.time(), time.monotonic()
        clips = []
        for name, files in found.items():
            is_own = name in self._completed
            age = now - max(status.st_mtime for _, status in files)
            age = here - self._completed[name] if is_own else age
            size = sum(status.st_size for _, status in files)
            clips.append(_KeptClip(is_own, age, size, [file for file, _ in files]))
        return sorted(clips, key=lambda clip: (clip.is_own, -clip.seconds))
