"""Files of live runs brought to the disk, once a second and together.

ext4 makes a longer file known on the disk before its last bytes are there, as soon as any file is
synced; a power cut in between leaves NUL bytes for them. So whatever is synced, all are, those with
the most to write first; and what is added meanwhile is written at once.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Protocol
from weakref import WeakSet

__all__ = ["Syncable", "Syncer"]

_LONGEST_WAIT = 1.0


class Syncable(Protocol):
    """A file that can be synced.

    Attributes:
        unsynced: Bytes that were written since it was last synced.
        synced: When that was, by ``time.monotonic``.
    """

    unsynced: int
    synced: float

    def descriptor(self) -> int | None:
        """Its descriptor; None where it is closed."""


class Syncer:
    """Syncs files in a thread of its own.

    Attributes:
        lock: Held by whoever opens or closes a descriptor of one of the files.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._files: WeakSet[Syncable] = WeakSet()
        self._wanted = False
        self._thread: threading.Thread | None = None

    def sync(self, file: Syncable) -> None:
        """Sees to it, without waiting, that all files soon outlive a power cut.

        Args:
            file: One that has got more; it is one of them from then on.
        """
        with self.lock:
            self._files.add(file)
            self._wanted = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def added(self, handle: int) -> None:
        """Tells that a file has got more: its length may be on the disk in a moment."""
        if self._thread is not None:
            _begin_writing(handle)

    def wait(self) -> None:
        """Waits for a second at most until nothing is being synced."""
        thread = self._thread
        if thread is not None:
            thread.join(_LONGEST_WAIT)

    def _work(self) -> None:
        while handles := self._take():
            for handle in handles:
                _begin_writing(handle)
            for handle in handles:
                with contextlib.suppress(OSError):  # a bad disk shows when written to
                    os.fsync(handle)
            for handle in handles:
                _begin_writing(handle)
                os.close(handle)

    def _take(self) -> list[int]:
        """Descriptors of what is to be synced, of which most is to be written first."""
        with self.lock:
            found = []
            if self._wanted:
                for file in sorted(self._files, key=lambda file: -file.unsynced):
                    descriptor = file.descriptor()
                    if descriptor is not None and file.unsynced:
                        with contextlib.suppress(OSError):  # no descriptor is left: next time
                            found.append(os.dup(descriptor))
                            file.unsynced, file.synced = 0, time.monotonic()
            self._wanted = False
            if not found:
                self._thread = None
            return found


def _begin_writing(handle: int) -> None:
    """Sends what the system holds of a file to the disk, without waiting."""
    with contextlib.suppress(OSError, AttributeError):  # a pipe has no such thing, nor has macOS
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
