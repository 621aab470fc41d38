"""Runs capture and inference of successive frames in separate threads, and keeps their order."""

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

    def is_ready(self) -> bool:
        """Waits a moment for the next item or the end; returns whether ``take`` would not wait."""
        with self._changed:
            if not (self._next in self._items or self._closed):
                self._changed.wait(_POLL)
            return self._next in self._items or self._closed

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
    waiting: Callable[[], None] = lambda: None,
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
        waiting: Function called a few times per second while no item is ready, by the consumer.
    """
    executor = _Executor(items, step, size=size, lanes=lanes, turn=turn)
    advancing = threading.Thread(target=executor.advance, name="edgekit-cascade", daemon=True)
    working = [
        threading.Thread(target=executor.work, name=f"edgekit-network-{lane}", daemon=True)
        for lane in range(lanes)
    ]
    for thread in (advancing, *working):
        thread.start()
    try:
        while True:
            while not executor.after.is_ready():
                waiting()
            if (taken := executor.after.take()) is None:
                break
            if isinstance(taken[1], _Raised):
                raise taken[1].error
            yield taken[1]
    finally:
        executor.before.close(drop=True)
        executor.after.close(drop=True)
        for thread in working:
            thread.join()
        advancing.join(_LEAVING)


class _Executor(Generic[T]):
    """Runs the threads of ``overlapped``, and has its parameters.

    Attributes:
        before: Items that wait for the step.
        after: Items that the step has changed, or its error.
    """

    def __init__(
        self,
        items: Iterator[T],
        step: Callable[[T], None],
        *,
        size: int,
        lanes: int,
        turn: AbstractContextManager[object],
    ) -> None:
        self.before: _Handover[T] = _Handover(size)
        self.after: _Handover[T | _Raised] = _Handover(size + lanes - 1)
        self._items = items
        self._step = step
        self._turn = turn
        self._taking = threading.Lock()
        self._left = lanes

    def advance(self) -> None:
        """Requests items until there are no more; the one thread before the step runs this."""
        error = None
        try:
            place = 0
            while self.before.wait_for_room(place):
                item = next(self._items, None)
                if item is None:
                    break
                self.before.put(item, place)
                place += 1
        except BaseException as raised:
            error = raised
        self.before.close(error)

    def work(self) -> None:
        """Calls the step until there are no more items; every lane's thread runs this."""
        error = None
        try:
            while not self._done():
                pass
        except BaseException as raised:  # raised by items
            error = raised
        with self._taking:
            self._left -= 1
            if not self._left:
                self.before.close(drop=True)
                self.after.close(error)

    def _done(self) -> bool:
        """Calls the step on the next item; returns whether this was the last one."""
        with ExitStack() as held:
            with self._taking:  # a thread that waits for an item also gets the next turn
                if not self.before.wait_for_item():
                    return True
                held.enter_context(self._turn)
                # Not earlier, because the next item would then be requested earlier.
                taken = self.before.take()
            if taken is None:
                return True
            place, item = taken
            outcome: T | _Raised = item
            try:
                self._step(item)
            except BaseException as raised:
                outcome = _Raised(raised)
                self.before.close(drop=True)
        if self.after.wait_for_room(place):
            self.after.put(outcome, place)
        return isinstance(outcome, _Raised)
