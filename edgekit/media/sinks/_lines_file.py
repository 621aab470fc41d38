"""A file of lines that is valid at all times and is rotated at a size limit."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from edgekit._closing import Closing
from edgekit.media.sinks._whole_file import WholeFile, check_room, make_room

__all__ = ["LinesFile"]

_LOG = logging.getLogger(__name__)
_SYNC_EVERY = 1.0
_CHUNK = 1 << 16
_UNSYNCED = 1 << 24
"""More bytes than a run writes between two syncs, even on a slow disk."""


class LinesFile(Closing):
    """Appends lines to a file, and starts a new file at a size limit.

    In ``live`` mode, other programs such as logrotate may rename, remove or truncate the file. The
    next line then goes to a file of that name, after a new first line.

    Args:
        head: Function that returns the first line of the run's first (0), second (1), … file.
        path: Path of the newest file. A symbolic link to a file is resolved once, at the start: its
            target is written and rotated, and the link stays.
        live: Whether to continue an existing file, without its last line if that is incomplete, and
            to sync to disk about once per second. Otherwise an existing file is replaced.
        rotate: Largest size of a file in bytes, except for a single longer line; None for no limit.
        keep: Number of older files to keep.

    Raises:
        OutputError: The file cannot be written; any call may raise it, as in ``WholeFile``.
    """

    def __init__(
        self,
        head: Callable[[int], bytes],
        path: Path,
        *,
        live: bool = False,
        rotate: int | None = None,
        keep: int = 5,
    ) -> None:
        self._head = head
        self._path = path = _followed(path)
        self._live = live
        self._keep = keep
        self._part = 0
        self._file: WholeFile | None = WholeFile(path, keep=live, append=live)
        self._headed = False
        self._head_size = 0
        try:
            # A pipe or terminal can be neither measured nor rotated.
            is_file = path.is_file()
            self._most = rotate if is_file else None
            self._followed = live and is_file
            if self._followed:
                self._repair()
            if self._most is not None and self._file.size >= self._most:
                self._next_file()
            self._write_head()
        except BaseException:
            self.close()
            raise

    def add(self, line: bytes) -> None:
        """Appends a line, which must end with a newline."""
        if self._followed and self._file is not None:
            self._follow(self._file)
        if self._headed and self._is_full(len(line)):
            self._part += 1
            self._next_file()
        if self._file is None:
            self._next_file()
        self._write_head()
        assert self._file is not None
        self._file.add(line)
        if self._live and time.monotonic() - self._file.synced > _SYNC_EVERY:
            self._file.sync()

    def check_room(self) -> None:
        """Raises ``OutputError`` if the disk is full."""
        check_room(self._path)

    def close(self) -> None:
        """Closes the file, after a last sync in ``live`` mode."""
        if self._file is not None:
            if self._live and self._file.unsynced:
                self._file.sync()
            self._file.close()

    def _is_full(self, more: int) -> bool:
        if self._file is None or self._most is None:
            return False
        size = self._file.size
        return size > self._head_size and size + more > self._most

    def _write_head(self) -> None:
        if not self._headed:
            assert self._file is not None
            head = self._head(self._part)
            self._file.add(head)
            self._headed, self._head_size = True, len(head)

    def _next_file(self) -> None:
        self.close()
        self._file = None
        self._headed = False
        make_room(self._path, self._keep)
        self._file = WholeFile(self._path, append=self._live)

    def _follow(self, file: WholeFile) -> None:
        """Starts again if another program has moved, removed or truncated the file."""
        if file.is_gone():
            _LOG.warning("%s was moved or removed. EdgeKit starts a new file there.", self._path)
            self._part += 1
            self._headed = False
            self.close()
            self._file = None
            self._file = WholeFile(self._path, keep=True, append=True)
            self._repair()
        elif file.was_cut():
            _LOG.warning("Another program shortened %s. EdgeKit continues at its end.", self._path)
            self._part += 1
            self._headed = False

    def _repair(self) -> None:
        """Cuts off what a power cut left after the last whole line: part of a line, or NUL bytes.

        NUL bytes remain where the file system stored the new length but not yet the content. They
        can only be near the end, in bytes that were not synced.
        """
        assert self._file is not None
        size = self._file.size
        begin = max(0, size - _UNSYNCED)
        hole = self._file.get(begin, size - begin).find(b"\0")
        place = end = size if hole < 0 else begin + hole
        while place > 0:
            begin = max(0, place - _CHUNK)
            newline = self._file.get(begin, place - begin).rfind(b"\n")
            if newline >= 0:
                end = begin + newline + 1
                break
            place = end = begin
        if end < size:
            self._file.cut(end)


def _followed(path: Path) -> Path:
    """Returns the target of a link to a file; other paths, pipes and terminals stay unchanged."""
    is_special = path.exists() and not path.is_file()
    return Path(os.path.realpath(path)) if path.is_symlink() and not is_special else path
