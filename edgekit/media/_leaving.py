"""The end of a program while one of its daemon threads is inside a C library.

Python ends such a thread where it next asks for the interpreter. Under C++, or under FFmpeg, which
asks PyAV whether its time is over, that aborts the process. So nobody goes in any more once the
program ends, and those who are inside get a little time to come back. Connections are broken for
that.
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

_LONGEST = 2.0
_inside: dict[int, frozenset[str] | None] = {}
_changed = threading.Condition()
_ending = False


class Ending(Exception):
    """The program ends, and no daemon thread may go into a C library any more."""


@contextlib.contextmanager
def inside(before: frozenset[str] | None = None) -> Iterator[None]:
    """While the block runs, this thread is inside a C library.

    Blocks may be nested. Python itself waits for threads that are no daemons.

    Args:
        before: The sockets that were there before the library's connection. All others may be
            broken when the program ends. None where the library has no connection.

    Raises:
        Ending: The program ends already.
    """
    if not threading.current_thread().daemon:
        yield
        return
    thread = threading.get_ident()
    with _changed:
        if _ending:
            raise Ending
        nested = thread in _inside
        outer = _inside.get(thread)
        _inside[thread] = outer if before is None else before
    try:
        yield
    finally:
        with _changed:
            if nested:
                _inside[thread] = outer
            else:
                del _inside[thread]
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
            connected = [before for before in _inside.values() if before is not None]
            if connected:
                foreign = frozenset.intersection(*connected)
                for name, descriptor in _descriptors().items():
                    if name not in foreign:
                        _break(descriptor)
            _changed.wait(0.1)


def _break(descriptor: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
