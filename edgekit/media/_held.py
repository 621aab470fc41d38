"""A resource of a C library, which one thread may let go of while another is inside it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from edgekit.media._leaving import Ending, inside, sockets

__all__ = ["Held", "within"]

T = TypeVar("T")


class Held:
    """Releases a resource once it was closed and the last call that uses it has returned.

    Closing never waits: a read that hangs in a C library keeps the resource until it returns, and
    releases it then.

    Args:
        release: Gives up the resource; called once.
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
        """What a function returns that uses the resource.

        Returns:
            None, without a call, once it was closed or the program ends.
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
        """Releases the resource, at once or when the call that uses it returns."""
        with self._lock:
            last = not self._closed and not self._users
            self._closed = True
        if last:
            self._let_go()

    def _let_go(self) -> None:
        with contextlib.suppress(Ending), inside():
            self._release()


def within(seconds: float, make: Callable[[], T], discard: Callable[[T], object]) -> T:
    """What a function makes, unless that takes too long.

    Args:
        seconds: To wait for it, on the monotonic clock.
        make: May hang; it runs in a thread of its own, which is then left behind.
        discard: Gets what comes too late.

    Raises:
        TimeoutError: Nothing came in time.
        BaseException: What ``make`` raised.
    """
    made: list[T] = []
    failures: list[BaseException] = []
    lock = threading.Lock()
    done = threading.Event()
    late = False

    def work() -> None:
        try:
            with inside(sockets()):
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
