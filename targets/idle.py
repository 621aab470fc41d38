"""DEVICE. What many threads share, and each uses one of at a time."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

__all__ = ["Idle"]

T = TypeVar("T")


class Idle(Generic[T]):
    """Lends each of ``things`` to one thread at a time; who finds none idle waits for one."""

    def __init__(self, things: Iterable[T]) -> None:
        self._things: queue.SimpleQueue[T] = queue.SimpleQueue()
        for thing in things:
            self._things.put(thing)

    @contextmanager
    def lent(self) -> Iterator[T]:
        """One of them, until the block is left."""
        thing = self._things.get()
        try:
            yield thing
        finally:
            self._things.put(thing)
