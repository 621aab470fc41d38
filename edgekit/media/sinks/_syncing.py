"""Syncs the files of live runs to disk, once per second and all together.

When any file is synced, ext4 may record the new length of another file on disk before its last
bytes are there. A power cut at that moment leaves NUL bytes in their place. All files are therefore
synced together, those with the most unwritten bytes first, and bytes added meanwhile are written
at once.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Protocol
from weakref import WeakSet

__all__ = ["Syncable", "Syncer"]

_SYNC_EVERY = 1.0
_LONGEST_WAIT = 1.0


class Syncable(Protocol):
    """A file that can be synced.

    Attributes:
        unsynced: Number of bytes written since the last sync.
        synced: Time of the last sync, in seconds of ``time.monotonic``.
    """

    unsynced: int
    synced: float

    def descriptor(self) -> int | None:
        """Returns the file descriptor; None if the file is closed."""


class Syncer:
    """Syncs files in a thread of its own, which ends a second after the last bytes.

    Attributes:
        lock: Lock that must be held to open or close a descriptor of one of the files.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self._files: WeakSet[Syncable] = WeakSet()
        self._wanted = self._is_syncing = False
        self._thread: threading.Thread | None = None

    def sync(self, file: Syncable) -> None:
        """Syncs all known files soon, without waiting unless no thread can be started.

        Bytes that come later without a call are synced a second after the previous sync.

        Args:
            file: File with new bytes; it joins the known files.
        """
        with self.lock:
            self._files.add(file)
            self._wanted = True
            self.lock.notify_all()
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, daemon=True)
            with contextlib.suppress(RuntimeError):  # the system grants no more threads
                thread.start()
                self._thread = thread
        if thread.ident is None:
            self._sync_all()

    def added(self, handle: int) -> None:
        """Starts writing a file with new bytes: its new length may reach the disk very soon."""
        if self._thread is not None:
            _begin_writing(handle)

    def wait(self) -> None:
        """Waits until no sync is running or wanted, for at most one second."""
        with self.lock:
            self.lock.wait_for(lambda: not (self._wanted or self._is_syncing), _LONGEST_WAIT)

    def _work(self) -> None:
        while self._has_more():
            self._sync_all()

    def _has_more(self) -> bool:
        """Waits until a sync is wanted or a second is over; returns False if nothing came."""
        with self.lock:
            self.lock.wait_for(lambda: self._wanted, _SYNC_EVERY)
            if self._wanted or self._unsynced():
                return True
            self._thread = None
            return False

    def _sync_all(self) -> None:
        handles = self._take()
        for handle in handles:
            _begin_writing(handle)
        for handle in handles:
            with contextlib.suppress(OSError):  # a failing disk shows up at the next write
                os.fsync(handle)
        for handle in handles:
            _begin_writing(handle)
            os.close(handle)
        with self.lock:
            self._is_syncing = False
            self.lock.notify_all()

    def _take(self) -> list[int]:
        """Returns duplicated descriptors of the files to sync, most unsynced bytes first."""
        with self.lock:
            found = []
            for file in self._unsynced():
                descriptor = file.descriptor()
                assert descriptor is not None  # the lock is held
                with contextlib.suppress(OSError):  # no descriptor is left
                    found.append(os.dup(descriptor))
                    file.unsynced, file.synced = 0, time.monotonic()
            self._wanted, self._is_syncing = False, True
            return found

    def _unsynced(self) -> list[Syncable]:
        files = [file for file in self._files if file.unsynced and file.descriptor() is not None]
        return sorted(files, key=lambda file: -file.unsynced)


def _begin_writing(handle: int) -> None:
    """Starts writing the cached pages of a file to disk, without waiting."""
    with contextlib.suppress(OSError, AttributeError):  # not on pipes or macOS
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
