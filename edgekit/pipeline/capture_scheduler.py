"""Schedules the capture from a live source, so that a frame is ready when the network is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

__all__ = ["CaptureScheduler"]

_RECENT = 16
_MARGIN = 0.002
_POLL = 0.1


class CaptureScheduler:
    """Predicts from recent frames when the network will be free again.

    A frame that is captured when its predecessor enters the network waits there for a whole
    inference, and becomes old. It is therefore captured before the end of that inference, earlier
    by the time of its own cascade; it is then the newest one. The shortest recent inference and the
    longest recent cascade are used, so that a frame waits for the network and not the reverse.

    Args:
        stop: Event that ends the waiting.
        clock: Function that returns seconds, as ``time.monotonic`` does.
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
        """Marks the block as an inference of the network."""
        with self._changed:
            self._waiting -= 1
            begin = self._begin = self._clock()
            self._changed.notify()
        yield
        seconds = self._clock() - begin
        with self._changed:
            self._inferences.append(seconds)

    def prepared(self, seconds: float) -> None:
        """Records the seconds that the cascade of a frame took."""
        with self._changed:
            self._waiting += 1
            self._cascades.append(seconds)

    def lead(self) -> float:
        """Returns seconds from the start of an inference until the next frame should be taken."""
        # Without the lock, a thread of free-threaded Python could add to them meanwhile.
        with self._changed:
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
