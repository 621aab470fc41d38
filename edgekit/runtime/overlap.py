"""Two steps of an iteration in threads of their own, with the order kept."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

__all__ = ["NO_TURN", "overlapped"]

NO_TURN: AbstractContextManager[object] = nullcontext()
"""For who shares nothing."""

T = TypeVar("T")

_POLL = 0.1
_LEAVING = 1.0


class _Handover(Generic[T]):
    """A bounded queue between two threads, which either side may close."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def wait_for_room(self) -> bool:
        """Waits until an item can be put without waiting; False where it is closed."""
        with self._changed:
            while len(self._items) >= self._size and not self._closed:
                self._changed.wait()
            return not self._closed

    def put(self, item: T) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def wait_for_item(self) -> bool:
        """Waits until an item can be taken without waiting; False after the last."""
        with self._changed:
            # In short waits, because a signal is only handled between them on some systems.
            while not (self._items or self._closed):
                self._changed.wait(_POLL)
            if not self._items and self._error is not None:
                raise self._error
            return bool(self._items)

    def take(self) -> T | None:
        """The next item, waiting for it; None after the last."""
        with self._changed:
            if not self.wait_for_item():
                return None
            item = self._items.popleft()
            self._changed.notify()
            return item

    def close(self, error: BaseException | None = None, *, drop: bool = False) -> None:
        """Nothing comes any more; what is there can still be taken, unless it is dropped."""
        with self._changed:
            self._closed = True
            self._error = self._error or error
            if drop:
                self._items.clear()
            self._changed.notify_all()


def overlapped(
    items: Iterator[T],
    step: Callable[[T], None],
    *,
    size: int,
    turn: AbstractContextManager[object] = NO_TURN,
) -> Iterator[T]:
    """Gives ``items`` after ``step`` was called on each; both work ahead of who iterates.

    ``items`` is advanced in one thread and ``step`` is called in another. An item is only asked
    for when there is room for it: with a ``size`` of 1, when the item before has gone into
    ``step``, which is not before its ``turn``. What either raises is raised after the items before
    it. Both threads have ended when the iteration is over or closed; one in which ``items`` does
    not come back is left after a second.

    Args:
        items: Whatever is to go through.
        step: Changes an item.
        size: How many items wait for ``step``, and how many after it, at most.
        turn: Held during each ``step``.
    """
    before: _Handover[T] = _Handover(size)
    after: _Handover[T] = _Handover(size)

    def advance() -> None:
        error = None
        try:
            while before.wait_for_room():
                item = next(items, None)
                if item is None:
                    break
                before.put(item)
        except BaseException as raised:
            error = raised
        before.close(error)

    def work() -> None:
        error = None
        try:
            while before.wait_for_item():
                with turn:
                    # Not earlier, or the next item would be asked for earlier.
                    item = before.take()
                    if item is not None:
                        step(item)
                if item is None or not after.wait_for_room():
                    break
                after.put(item)
        except BaseException as raised:
            error = raised
        before.close(drop=True)
        after.close(error)

    threads = [
        threading.Thread(target=advance, name="edgekit-cascade", daemon=True),
        threading.Thread(target=work, name="edgekit-network", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        while (item := after.take()) is not None:
            yield item
    finally:
        before.close(drop=True)
        after.close(drop=True)
        threads[1].join()
        threads[0].join(_LEAVING)
