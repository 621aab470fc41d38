"""The end of a program while one of its threads is inside FFmpeg.

Python ends such a thread where it next asks for the interpreter, which PyAV does from within
FFmpeg to see whether its time is over: the process can crash there. So the connections are broken
first, for the threads to come back by themselves.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

__all__ = ["Ending", "inside", "sockets"]

_LONGEST = 1.0
_inside: dict[int, frozenset[str]] = {}
_changed = threading.Condition()
_ending = False


class Ending(Exception):
    """The program ends, and nobody may go into FFmpeg any more."""


@contextlib.contextmanager
def inside(before: frozenset[str]) -> Iterator[None]:
    """While the block runs, this thread is inside FFmpeg.

    Args:
        before: The sockets that were there before the connection, which are none of its own.

    Raises:
        Ending: It is too late for that.
    """
    thread = threading.get_ident()
    with _changed:
        if _ending:
            raise Ending
        _inside[thread] = before
    try:
        yield
    finally:
        with _changed:
            _inside.pop(thread, None)
            _changed.notify_all()


def sockets() -> frozenset[str]:
    """The sockets of this process, by the kernel's names; none where it does not tell."""
    return frozenset(_descriptors())


def _descriptors() -> dict[str, int]:
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
                if target.startswith("socket:"):
                    found[target] = int(name)
    return found


@atexit.register
def _leave() -> None:
    """Breaks the connections that threads hang in, and waits for the threads a little."""
    global _ending
    deadline = time.monotonic() + _LONGEST
    with _changed:
        _ending = True
        while _inside and time.monotonic() < deadline:
            foreign = frozenset.intersection(*_inside.values())
            for name, descriptor in _descriptors().items():
                if name not in foreign:
                    _break(descriptor)
            _changed.wait(0.1)


def _break(descriptor: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
