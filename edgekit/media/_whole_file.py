"""Files that are valid at every moment, because they grow by whole pieces."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from pathlib import Path

from edgekit._closing import Closing
from edgekit._files import marked, output_error, writing
from edgekit.media._syncing import Syncer

__all__ = ["WholeFile", "check_room", "make_room", "older_name"]

_SYNCER = Syncer()
_SPARE_BYTES = 1 << 16


class WholeFile(Closing):
    """A file that whole pieces are added to: lines, clusters.

    Args:
        path: Made where it is not there; its folder has to be.
        keep: Whether to go on with what is there; else it is replaced.
        append: Every piece goes to the end of the file, wherever another program has put that. Then
            ``put`` may not be called.
        name: What errors call it, where it is going to be renamed.

    Attributes:
        size: Bytes.
        unsynced: Bytes that were written since it was last synced.
        synced: When that was, by ``time.monotonic``.

    Raises:
        OutputError: By any call: the file cannot be written. It then ends with the last whole
            piece, and may be tried again.
        BrokenPipeError: By ``add``: it is a pipe, and nobody reads it any more.
    """

    def __init__(
        self, path: Path, *, keep: bool = False, append: bool = False, name: Path | None = None
    ) -> None:
        self._path = name or path
        self.unsynced = 0
        self.synced = time.monotonic()
        with writing(self._path):
            goes_on = keep and path.is_file()
            # A pipe that is opened for reading too would never notice that its reader has gone.
            special = path.exists() and not path.is_file()
            flags = os.O_WRONLY if special else os.O_RDWR
            flags |= 0 if goes_on else os.O_CREAT | os.O_TRUNC
            flags |= os.O_APPEND if append and not special else 0
            self._handle: int | None = os.open(path, flags | os.O_CLOEXEC, 0o666)
            self.size = os.fstat(self._handle).st_size
            with contextlib.suppress(OSError):  # a pipe or terminal has no end
                os.lseek(self._handle, 0, os.SEEK_END)

    def add(self, piece: bytes) -> None:
        """Adds a piece as a whole, or nothing of it."""
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
        """Forgets what comes after ``size`` bytes."""
        assert self._handle is not None
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, size)
            os.lseek(self._handle, size, os.SEEK_SET)
            self.size = size

    def put(self, place: int, content: bytes) -> None:
        """Replaces some bytes in the middle."""
        assert self._handle is not None
        with writing(self._path):
            written = 0
            while written < len(content):
                written += os.pwrite(self._handle, content[written:], place + written)
        self.unsynced += written

    def get(self, place: int, count: int) -> bytes:
        """Some bytes of it."""
        assert self._handle is not None
        with writing(self._path):
            return os.pread(self._handle, count, place)

    def is_gone(self) -> bool:
        """Whether its name does not lead to it any more: it was renamed, removed or replaced."""
        assert self._handle is not None
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except OSError:
            return True

    def was_cut(self) -> bool:
        """Whether another program has made it shorter since the last call; ``size`` follows."""
        assert self._handle is not None
        before, self.size = self.size, os.fstat(self._handle).st_size
        return self.size < before

    def sync(self) -> None:
        """Sees to it, without waiting, that what was added will soon outlive a power cut."""
        _SYNCER.sync(self)

    def descriptor(self) -> int | None:
        """The descriptor of the file; None where it is closed."""
        return self._handle

    def close(self) -> None:
        """Closes the file."""
        if self._handle is not None:
            _SYNCER.wait()
            with _SYNCER.lock:
                handle, self._handle = self._handle, None
                os.close(handle)


def check_room(path: Path) -> None:
    """Raises ``OutputError`` where the disk that a file is on has hardly any room."""
    with writing(path):
        if shutil.disk_usage(path.parent).free < _SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def older_name(path: Path, number: int) -> Path:
    """What the file was renamed to ``number`` files ago: ``events.2.jsonl``."""
    return marked(path, f".{number}")


def make_room(path: Path, keep: int) -> None:
    """Renames a file to its first older name, and each older one to the next; removes the last.

    Args:
        path: Need not be there; an empty file is nothing.
        keep: How many older files there may be.

    Raises:
        OutputError: The folder cannot be written.
    """
    with writing(path):
        if not (path.is_file() and path.stat().st_size):
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
