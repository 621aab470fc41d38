"""Releases a C library's resource safely while another thread may still use it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from edgekit.system.leaving import Ending, LibraryConnection, inside

__all__ = ["Held", "within"]

T = TypeVar("T")


class Held:
    """Releases a resource once it is closed and the last call that uses it has returned.

    Closing never waits. If a read hangs in a C library, the resource is released when that read
    returns.

    Args:
        release: Function that releases the resource; it is called once.
    """

    def __init__(self, release: Callable[[], object]) -> None:
        self._release = release
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def call(self, function: Callable[[], T]) -> T | None:
        """Calls a function that uses the resource, and returns its result.

        Returns:
            The result; None without a call if the resource is closed or the program is ending.
        """
        with self._lock:
            if self._closed:
                return None
            self._users += 1
        try:
            with inside():
                return function()
        except Ending:
            return None
        finally:
            with self._lock:
                self._users -= 1
                last = self.closed and not self._users
            if last:
                self._let_go()

    def close(self) -> None:
        """Releases the resource now, or when the calls that use it have returned."""
        with self._lock:
            last = not self._closed and not self._users
            self._closed = True
        if last:
            self._let_go()

    def _let_go(self) -> None:
        with contextlib.suppress(Ending), inside():
            self._release()


def within(
    seconds: float,
    make: Callable[[], T],
    discard: Callable[[T], object],
    connection: LibraryConnection | None = None,
) -> T:
    """Returns the result of a function, unless it takes too long.

    Args:
        seconds: Longest wait in seconds, on the monotonic clock.
        make: Function that may hang. It runs in its own thread, which is abandoned on a timeout.
        discard: Function that receives a result that comes too late.
        connection: Connection that ``make`` opens; None if it opens none or says so itself.

    Raises:
        TimeoutError: There was no result in time.
        BaseException: The exception that ``make`` raised.
    """
    made: list[T] = []
    failures: list[BaseException] = []
    lock = threading.Lock()
    done = threading.Event()
    late = False

    def work() -> None:
        try:
            with inside(connection):
                result = make()
        except BaseException as error:
            failures.append(error)
        else:
            with lock:
                if not late:
                    made.append(result)
            if late:
                with contextlib.suppress(Ending), inside():
                    discard(result)
        done.set()

    threading.Thread(target=work, name="edgekit-open", daemon=True).start()
    try:
        done.wait(seconds)
    finally:
        with lock:
            late = not made
    if failures:
        raise failures[0]
    if not made:
        raise TimeoutError
    return made[0]
