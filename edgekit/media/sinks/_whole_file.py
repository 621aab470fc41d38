"""Files that are valid at all times, because they grow by complete pieces."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path

from edgekit._closing import Closing
from edgekit.errors import OutputError
from edgekit.files.output_paths import marked, output_error, writing
from edgekit.media.sinks._syncing import Syncer

__all__ = ["WholeFile", "check_room", "make_room", "older_name"]

_SYNCER = Syncer()
_SPARE_BYTES = 1 << 16
_READER_SECONDS = 5.0
_POLL = 0.05


class WholeFile(Closing):
    """A file that grows by complete pieces, such as lines or clusters.

    Args:
        path: Path of the file, created if missing, in an existing folder. A link to a file is
            refused.
        keep: Whether to continue an existing file; otherwise it is replaced.
        append: Whether each piece goes to the current end of the file, even if another program has
            changed its length. ``put`` must not be called then.
        name: Path that errors name, if the file will be renamed later.

    Attributes:
        size: Size in bytes.
        unsynced: Number of bytes written since the last sync.
        synced: Time of the last sync, in seconds of ``time.monotonic``.

    Raises:
        OutputError: The file cannot be written; any call may raise it. The file then ends with the
            last complete piece, and the call may be repeated.
        BrokenPipeError: The file is a pipe without a reader; ``add`` raises it.
    """

    def __init__(
        self, path: Path, *, keep: bool = False, append: bool = False, name: Path | None = None
    ) -> None:
        self._path = name or path
        self.unsynced = 0
        self.synced = time.monotonic()
        with writing(self._path):
            goes_on = keep and path.is_file()
            # A pipe opened for reading too would never report that its reader has gone.
            special = path.exists() and not path.is_file()
            flags = os.O_CLOEXEC | (os.O_WRONLY if special else os.O_RDWR)
            flags |= 0 if goes_on else os.O_CREAT | os.O_TRUNC
            flags |= os.O_APPEND if append and not special else 0
            # Whoever may write to the folder can put a link to another file of this user there.
            flags |= 0 if special else os.O_NOFOLLOW
            opened = _opened_pipe(path) if path.is_fifo() else os.open(path, flags, 0o666)
            self._handle: int | None = opened
            self.size = os.fstat(self._handle).st_size
            with contextlib.suppress(OSError):  # a pipe or terminal has no end
                os.lseek(self._handle, 0, os.SEEK_END)

    def add(self, piece: bytes) -> None:
        """Adds a piece, completely or not at all."""
        assert self._handle is not None
        written = 0
        try:
            while written < len(piece):
                written += os.write(self._handle, piece[written:])
        except BrokenPipeError:
            raise
        except OSError as error:
            if written:
                self.cut(self.size)
            raise output_error(error, self._path) from error
        self.size += written
        self.unsynced += written
        _SYNCER.added(self._handle)

    def cut(self, size: int) -> None:
        """Truncates the file to ``size`` bytes."""
        assert self._handle is not None
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, size)
            os.lseek(self._handle, size, os.SEEK_SET)
            self.size = size

    def put(self, place: int, content: bytes) -> None:
        """Replaces some bytes within the file."""
        assert self._handle is not None
        with writing(self._path):
            written = 0
            while written < len(content):
                written += os.pwrite(self._handle, content[written:], place + written)
        self.unsynced += written

    def get(self, place: int, count: int) -> bytes:
        """Reads ``count`` bytes from offset ``place``."""
        assert self._handle is not None
        with writing(self._path):
            return os.pread(self._handle, count, place)

    def is_gone(self) -> bool:
        """Returns whether the file was renamed, removed or replaced by another one."""
        assert self._handle is not None
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except OSError:
            return True

    def is_removed(self) -> bool:
        """Returns whether the open file has no name any more, so that nobody can read it."""
        assert self._handle is not None
        return os.fstat(self._handle).st_nlink == 0

    def was_cut(self) -> bool:
        """Returns whether another program has shortened the file since the last call.

        Updates ``size``.
        """
        assert self._handle is not None
        before, self.size = self.size, os.fstat(self._handle).st_size
        return self.size < before

    def sync(self) -> None:
        """Starts a sync without waiting, so that added bytes soon survive a power cut."""
        _SYNCER.sync(self)

    def descriptor(self) -> int | None:
        """Returns the file descriptor; None if the file is closed."""
        return self._handle

    def close(self) -> None:
        """Closes the file."""
        if self._handle is not None:
            _SYNCER.wait()
            with _SYNCER.lock:
                handle, self._handle = self._handle, None
                os.close(handle)


def _opened_pipe(path: Path) -> int:
    """Opens a named pipe once a process reads from it; ``open`` alone would wait without end."""
    end = time.monotonic() + _READER_SECONDS
    while True:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        else:
            os.set_blocking(handle, True)
            return handle
        if time.monotonic() > end:
            raise OutputError(
                f"Nobody reads from the named pipe {path}.",
                hint="Start the program that reads from it first, or choose another path.",
            )
        time.sleep(_POLL)


def check_room(path: Path) -> None:
    """Raises ``OutputError`` if the file's disk has hardly any room left."""
    with writing(path):
        if shutil.disk_usage(path.parent).free < _SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def older_name(path: Path, number: int) -> Path:
    """Returns the name of an older file, such as ``events.2.jsonl`` for number 2."""
    return marked(path, f".{number}")


def make_room(path: Path, keep: int) -> None:
    """Renames a file to its first older name and each older file to the next; removes the last.

    Args:
        path: Path of the file; a missing or empty file changes nothing. A link to nothing, or to an
            empty file, is removed.
        keep: Largest number of older files.

    Raises:
        OutputError: The folder cannot be written.
    """
    with writing(path):
        if not (path.is_file() and path.stat().st_size):
            if path.is_symlink() and (path.is_file() or not path.exists()):
                path.unlink()
            return
        if not keep:
            path.unlink()
            return
        last = 1
        while last < keep and older_name(path, last).exists():
            last += 1
        for number in range(last, 1, -1):
            older_name(path, number - 1).replace(older_name(path, number))
        path.replace(older_name(path, 1))
