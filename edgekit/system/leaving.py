"""Ends a program safely while one of its daemon threads is inside a C library.

Python ends such a thread when it next needs the interpreter. If C++ frames are on the thread's
stack, or FFmpeg is calling PyAV's interrupt callback, this aborts the process. Once the program is
ending, no thread may therefore enter a C library. Threads that are inside get a short time to
return, and their network connections are shut down so that they do. Connections of the program that
uses EdgeKit stay as they are.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from edgekit.system.own_process import is_own_process

__all__ = ["Ending", "LibraryConnection", "connection_to", "inside", "inside_or_end"]

_LONGEST = 2.0
_PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}


class LibraryConnection(NamedTuple):
    """A network connection that a C library opens by itself.

    Attributes:
        before: Sockets that existed before the library opened the connection.
        port: Port of the server, or the own port of a source without a server, such as UDP; None
            if it is unknown.
    """

    before: frozenset[str]
    port: int | None


_inside: dict[int, LibraryConnection | None] = {}
_changed = threading.Condition()
_ending = False


class Ending(Exception):
    """The program is ending, so no daemon thread may enter a C library."""


@contextlib.contextmanager
def inside(connection: LibraryConnection | None = None) -> Iterator[None]:
    """Marks this thread as being inside a C library while the block runs.

    Blocks may be nested. Threads that are not daemons need no mark: Python waits for them.

    Args:
        connection: Connection that may be shut down when the program ends; None if the library has
            none.

    Raises:
        Ending: The program is already ending.
    """
    if not threading.current_thread().daemon:
        yield
        return
    thread = threading.get_ident()
    with _changed:
        nested = thread in _inside
        if _ending and not nested:
            raise Ending
        outer = _inside.get(thread)
        _inside[thread] = outer if connection is None else connection
    try:
        yield
    finally:
        with _changed:
            if nested:
                _inside[thread] = outer
            else:
                del _inside[thread]
                _changed.notify_all()


@contextlib.contextmanager
def inside_or_end() -> Iterator[None]:
    """Marks this thread as ``inside`` does; ends it without a message if the program is ending."""
    try:
        with inside():
            yield
    except Ending:
        raise SystemExit from None  # as Python ends a daemon thread then


def connection_to(address: str) -> LibraryConnection:
    """Returns the connection that a C library will open to an address.

    FFmpeg does not tell which sockets it opens. They are those that do not exist yet, and use the
    port of the address.
    """
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        port = None
    return LibraryConnection(frozenset(_descriptors()), port)


def _descriptors() -> dict[str, int]:
    """Returns the kernel's names of this process's sockets; none if they cannot be read."""
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
            for connection in {one for one in _inside.values() if one is not None}:
                _break(connection)
            _changed.wait(0.1)


def _break(connection: LibraryConnection) -> None:
    """Shuts down the library's sockets of a connection, and never a socket of Python."""
    sockets = _descriptors()
    found = {sockets[name] for name in sockets.keys() - connection.before}
    if not found:
        return
    of_python = {one.fileno() for one in gc.get_objects() if isinstance(one, socket.socket)}
    for number in found - of_python:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as one:
            # A server may have sent FFmpeg to another port, which is known only where all is ours.
            if is_own_process() or connection.port in _ports(one):
                one.shutdown(socket.SHUT_RDWR)


def _ports(one: socket.socket) -> set[int]:
    if one.family not in (socket.AF_INET, socket.AF_INET6):
        return set()
    own = {one.getsockname()[1]} if one.type == socket.SOCK_DGRAM else set()
    with contextlib.suppress(OSError):  # a receiver of datagrams is connected to nobody
        own.add(one.getpeername()[1])
    return own
