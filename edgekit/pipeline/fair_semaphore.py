"""A semaphore for sources that share a network: each gets its turn in the order of requests."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

__all__ = ["FairSemaphore"]


class FairSemaphore:
    """A semaphore that is granted in the order of the requests (a ticket lock).

    A thread that releases it and requests it again comes after all waiting threads, which a plain
    lock does not guarantee. With n threads, nobody waits for more than the n - 1 turns of the
    others. It is a context manager and not reentrant.

    Args:
        places: Largest number of threads that hold it at once.
    """

    def __init__(self, places: int = 1) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._gates: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """Number of threads that wait for their turn."""
        return len(self._gates)

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
        try:
            gate.acquire()
        except BaseException:  # a signal, in the main thread
            self._leave(gate)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._pass_on()

    def _leave(self, gate: threading.Lock) -> None:
        with self._lock:
            if gate in self._gates:
                self._gates.remove(gate)
            else:
                self._pass_on()

    def _pass_on(self) -> None:
        if self._gates:
            self._gates.popleft().release()
        else:
            self._free += 1
