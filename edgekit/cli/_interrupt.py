"""Ctrl-C and SIGTERM as a request to end in order."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

__all__ = ["Stopper", "on_hangup"]


class Stopper:
    """Passes the wish to end on to what runs, which may be made later than those who wish.

    Attributes:
        interrupted: Whether the wish came by a signal.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._stop: Callable[[], None] = lambda: None

    def stop_with(self, stop: Callable[[], None]) -> None:
        """Names what ends the run; it must be safe to call in a signal handler."""
        self._stop = stop

    def stop(self) -> None:
        """Ends the run in order."""
        self._stop()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """While the block runs, the first signal ends it in order and a second one at once."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._handle) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _handle(self, number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.default_int_handler)
        self.interrupted = True
        self._stop()


@contextlib.contextmanager
def on_hangup(call: Callable[[], None]) -> Iterator[None]:
    """While the block runs, SIGHUP calls what is given, where there is such a signal."""
    number = getattr(signal, "SIGHUP", None)
    if number is None:
        yield
        return
    before = signal.signal(number, lambda *_: call())
    try:
        yield
    finally:
        signal.signal(number, before)
