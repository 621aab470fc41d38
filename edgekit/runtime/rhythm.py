"""When to take a frame of a live source, so that it is ready just when the network is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

__all__ = ["Rhythm"]

_RECENT = 16
_MARGIN = 0.002
_POLL = 0.1


class Rhythm:
    """Foretells from recent frames when the network will be free again.

    A frame that is taken when its predecessor goes into the network waits there for a whole
    inference, and is old by then. Taken as much earlier than the end of that inference as its own
    cascade needs, it is the newest one there is. The shortest inference and the longest cascade of
    the last frames decide, so that the network rather finds a frame waiting than waits for one.

    Args:
        stop: Ends the waiting.
        clock: Gives seconds, as ``time.monotonic`` does.
    """

    def __init__(self, stop: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting = 0
        self._begin = 0.0
        self._inferences: deque[float] = deque(maxlen=_RECENT)
        self._cascades: deque[float] = deque(maxlen=_RECENT)

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """The network is at work within the block."""
        with self._changed:
            self._waiting -= 1
            begin = self._begin = self._clock()
            self._changed.notify()
        yield
        self._inferences.append(self._clock() - begin)

    def prepared(self, seconds: float) -> None:
        """A frame has become the network's input in so many seconds."""
        with self._changed:
            self._waiting += 1
        self._cascades.append(seconds)

    def lead(self) -> float:
        """Seconds from the beginning of an inference until the next frame should be taken."""
        if not (self._inferences and self._cascades):
            return 0.0
        return max(0.0, min(self._inferences) - max(self._cascades) - _MARGIN)

    def wait(self) -> None:
        """Waits until the next frame should be taken, or the run is to stop."""
        with self._changed:
            while self._waiting > 0 and not self._stop.is_set():
                self._changed.wait(_POLL)
            begin = self._begin
        self._stop.wait(max(0.0, begin + self.lead() - self._clock()))
