"""Runs two steps of an iteration in separate threads, and keeps the order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["NO_TURN", "overlapped"]

NO_TURN: AbstractContextManager[object] = nullcontext()
"""Turn for callers that share nothing."""

T = TypeVar("T")

_POLL = 0.1
_LEAVING = 1.0


@dataclass(frozen=True, slots=True)
class _Raised:
    """Stands for an item whose step raised an error."""

    error: BaseException


class _Handover(Generic[T]):
    """A bounded queue between threads, which either side may close.

    Each item is put at a place, and items are taken in the order of places: 0, 1, 2 and so on.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: dict[int, T] = {}
        self._next = 0
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def wait_for_room(self, place: int) -> bool:
        """Waits until there is room for an item at its place; returns False if it is closed."""
        with self._changed:
            while place >= self._next + self._size and not self._closed:
                self._changed.wait()
            return not self._closed

    def put(self, item: T, place: int) -> None:
        with self._changed:
            self._items[place] = item
            self._changed.notify_all()

    def wait_for_item(self) -> bool:
        """Waits until an item can be taken at once; returns False after the last item."""
        with self._changed:
            # Short waits, because some systems handle signals only between waits.
            while not (self._next in self._items or self._closed):
                self._changed.wait(_POLL)
            if self._next not in self._items and self._error is not None:
                raise self._error
            return self._next in self._items

    def take(self) -> tuple[int, T] | None:
        """Waits for and returns the next item with its place; None after the last item."""
        with self._changed:
            if not self.wait_for_item():
                return None
            place = self._next
            self._next += 1
            item = self._items.pop(place)
            self._changed.notify_all()
            return place, item

    def close(self, error: BaseException | None = None, *, drop: bool = False) -> None:
        """Ends the input; items already there can still be taken, unless they are dropped."""
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
    lanes: int = 1,
    turn: AbstractContextManager[object] = NO_TURN,
) -> Iterator[T]:
    """Yields ``items`` after ``step`` was called on each; both work ahead of the consumer.

    ``items`` is advanced in one thread and ``step`` is called in others. An item is only requested
    when there is room for it. With a ``size`` of 1 this is when the previous item has entered
    ``step``, which happens on its ``turn``. An error of either is raised after the items before it.
    All threads have ended when the iteration is over or closed. A thread whose ``items`` does not
    return is abandoned after a second.

    Args:
        items: Items to process.
        step: Function that changes an item.
        size: Largest number of items that wait for ``step``, and that wait after it.
        lanes: Largest number of items in ``step`` at once.
        turn: Context that is held during each ``step``.
    """
    before: _Handover[T] = _Handover(size)
    after: _Handover[T | _Raised] = _Handover(size + lanes - 1)
    taking, left = threading.Lock(), [lanes]

    def advance() -> None:
        error = None
        try:
            place = 0
            while before.wait_for_room(place):
                item = next(items, None)
                if item is None:
                    break
                before.put(item, place)
                place += 1
        except BaseException as raised:
            error = raised
        before.close(error)

    def done() -> bool:
        with ExitStack() as held:
            with taking:  # a thread that waits for an item also gets the next turn
                if not before.wait_for_item():
                    return True
                held.enter_context(turn)
                # Not earlier, because the next item would then be requested earlier.
                taken = before.take()
            if taken is None:
                return True
            place, item = taken
            outcome: T | _Raised = item
            try:
                step(item)
            except BaseException as raised:
                outcome = _Raised(raised)
                before.close(drop=True)
        if after.wait_for_room(place):
            after.put(outcome, place)
        return isinstance(outcome, _Raised)

    def work() -> None:
        error = None
        try:
            while not done():
                pass
        except BaseException as raised:  # raised by items
            error = raised
        with taking:
            left[0] -= 1
            if not left[0]:
                before.close(drop=True)
                after.close(error)

    threads = [threading.Thread(target=advance, name="edgekit-cascade", daemon=True)]
    threads += [
        threading.Thread(target=work, name=f"edgekit-network-{lane}", daemon=True)
        for lane in range(lanes)
    ]
    for thread in threads:
        thread.start()
    try:
        while (taken := after.take()) is not None:
            if isinstance(taken[1], _Raised):
                raise taken[1].error
            yield taken[1]
    finally:
        before.close(drop=True)
        after.close(drop=True)
        for thread in threads[1:]:
            thread.join()
        threads[0].join(_LEAVING)
