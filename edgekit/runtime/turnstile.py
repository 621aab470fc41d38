"""Fair turns at what only so many may use at a time."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

__all__ = ["Turnstile"]


class Turnstile:
    """A semaphore that is given in the order in which it was asked for (a ticket lock).

    A thread that gives it back and asks again at once comes after all who wait, which a plain lock
    does not promise: with n threads, nobody waits for more than the n - 1 turns of the others. A
    context manager; not reentrant.

    Args:
        places: How many have it at once, at most.
    """

    def __init__(self, places: int = 1) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._gates: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
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
