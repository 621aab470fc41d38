"""DEVICE. Pool of an inference runtime's objects; each thread borrows one at a time."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["RuntimePool"]

T = TypeVar("T")


class RuntimePool(Generic[T]):
    """Lends each of ``things`` to one thread at a time; a thread waits if none is free."""

    def __init__(self, things: Iterable[T]) -> None:
        self._things: queue.SimpleQueue[T] = queue.SimpleQueue()
        for thing in things:
            self._things.put(thing)

    @contextmanager
    def lent(self) -> Iterator[T]:
        """Lends one object for the duration of the ``with`` block."""
        thing = self._things.get()
        try:
            yield thing
        finally:
            self._things.put(thing)
