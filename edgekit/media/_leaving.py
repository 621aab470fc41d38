"""Ends a program safely while one of its daemon threads is inside a C library.

Python ends such a thread when it next needs the interpreter. If C++ frames are on the thread's
stack, or FFmpeg is calling PyAV's interrupt callback, this aborts the process. Once the program is
ending, no thread may therefore enter a C library. Threads that are inside get a short time to
return, and their network connections are shut down so that they do.
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
    """The program is ending, so no daemon thread may enter a C library."""


@contextlib.contextmanager
def inside(before: frozenset[str] | None = None) -> Iterator[None]:
    """Marks this thread as being inside a C library while the block runs.

    Blocks may be nested. Threads that are not daemons need no mark: Python waits for them.

    Args:
        before: Sockets that existed before the library opened its connection. All other sockets may
            be shut down when the program ends. None if the library has no connection.

    Raises:
        Ending: The program is already ending.
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
    """Returns the kernel's names of this process's sockets; none if they cannot be read."""
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
    """Shuts down the connections of threads inside C libraries, and waits briefly for them."""
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
