"""Reads bytes from a pipe until another thread closes it."""

from __future__ import annotations

import os
import select

import numpy as np
import numpy.typing as npt

from edgekit.errors import MediaError
from edgekit.media._held import Held

__all__ = ["Pipe"]


class Pipe:
    """A reader for a file descriptor. Closing wakes a waiting read; the descriptor stays open.

    Args:
        descriptor: Open descriptor of a pipe, a file or a device.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._woken, self._waker = os.pipe()
        self._held = Held(self._release)
        self._ahead = b""

    @property
    def closed(self) -> bool:
        """Whether the reader was closed."""
        return self._held.closed

    def close(self) -> None:
        """Ends reading, including a read that waits in another thread."""
        if not self._held.closed:
            self._held.call(lambda: os.write(self._waker, b"!"))
            self._held.close()

    def exactly(self, count: int) -> npt.NDArray[np.uint8]:
        """Reads ``count`` bytes into new memory; fewer at the end of data or after ``close``.

        Raises:
            MediaError: The system cannot read the descriptor.
        """
        filled = np.empty(count, np.uint8)
        try:
            got = self._held.call(lambda: self._fill(filled)) or 0
        except OSError as error:
            raise MediaError(
                f"Standard input cannot be read: {error.strerror}.",
                hint="Check the disk or the device that it comes from.",
            ) from error
        return filled[:got]

    def put_back(self, data: bytes) -> None:
        """Puts bytes back, which the next read returns first."""
        self._ahead = data + self._ahead

    def line(self, most: int) -> bytes:
        """Reads up to the next line feed and drops it; stops after ``most`` bytes without one."""
        line = b""
        while len(line) < most:
            byte = self.exactly(1).tobytes()
            if byte in (b"", b"\n"):
                break
            line += byte
        return line

    def _fill(self, filled: npt.NDArray[np.uint8]) -> int:
        view = filled.data
        got = min(len(self._ahead), len(view))
        view[:got] = self._ahead[:got]
        self._ahead = self._ahead[got:]
        poll = select.poll()
        for descriptor in (self._descriptor, self._woken):
            poll.register(descriptor, select.POLLIN)
        while got < len(view):
            if any(descriptor == self._woken for descriptor, _ in poll.poll()):
                break
            count = os.readv(self._descriptor, [view[got:]])
            if not count:
                break
            got += count
        return got

    def _release(self) -> None:
        os.close(self._woken)
        os.close(self._waker)
