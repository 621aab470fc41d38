"""Two steps of an iteration in threads of their own, with the order kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["NO_TURN", "overlapped"]

NO_TURN: AbstractContextManager[object] = nullcontext()
"""For who shares nothing."""

T = TypeVar("T")

_POLL = 0.1
_LEAVING = 1.0


@dataclass(frozen=True, slots=True)
class _Raised:
    """In the place of an item, what its step raised."""

    error: BaseException


class _Handover(Generic[T]):
    """A bounded queue between threads, which either side may close.

    What is put has a place, and is taken in the order of places: 0, 1, 2 and so on.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: dict[int, T] = {}
        self._next = 0
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def wait_for_room(self, place: int) -> bool:
        """Waits until an item has room at its place; False where it is closed."""
        with self._changed:
            while place >= self._next + self._size and not self._closed:
                self._changed.wait()
            return not self._closed

    def put(self, item: T, place: int) -> None:
        with self._changed:
            self._items[place] = item
            self._changed.notify_all()

    def wait_for_item(self) -> bool:
        """Waits until an item can be taken without waiting; False after the last."""
        with self._changed:
            # In short waits, because a signal is only handled between them on some systems.
            while not (self._next in self._items or self._closed):
                self._changed.wait(_POLL)
            if self._next not in self._items and self._error is not None:
                raise self._error
            return self._next in self._items

    def take(self) -> tuple[int, T] | None:
        """The next item with its place, waiting for it; None after the last."""
        with self._changed:
            if not self.wait_for_item():
                return None
            place = self._next
            self._next += 1
            item = self._items.pop(place)
            self._changed.notify_all()
            return place, item

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
    lanes: int = 1,
    turn: AbstractContextManager[object] = NO_TURN,
) -> Iterator[T]:
    """Gives ``items`` after ``step`` was called on each; both work ahead of who iterates.

    ``items`` is advanced in one thread and ``step`` is called in others. An item is only asked
    for when there is room for it: with a ``size`` of 1, when the item before has gone into
    ``step``, which is not before its ``turn``. What either raises is raised after the items before
    it. All threads have ended when the iteration is over or closed; one in which ``items`` does
    not come back is left after a second.

    Args:
        items: Whatever is to go through.
        step: Changes an item.
        size: How many items wait for ``step``, and how many after it, at most.
        lanes: How many items are in ``step`` at once, at most.
        turn: Held during each ``step``.
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
            with taking:  # who waits for an item has the next turn as well
                if not before.wait_for_item():
                    return True
                held.enter_context(turn)
                # Not earlier, or the next item would be asked for earlier.
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
        except BaseException as raised:  # of items
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
