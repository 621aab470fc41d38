"""Ctrl-C, SIGTERM and a terminal that is closed as a request to end in order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

from edgekit.cli._standard_streams import drop_terminals, has_terminal

__all__ = ["Stopper"]

_PATIENCE = 1.0
"""Seconds that the process has to end by itself after the second signal."""

_INTERRUPTED = 130
_HANGUP = getattr(signal, "SIGHUP", None)


class Stopper:
    """Passes the wish to end on to what runs, which may be made later than those who wish.

    Attributes:
        interrupted: Whether the wish came by a signal.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._stop: Callable[[], None] | None = None
        self._hangup: Callable[[], None] | None = None
        self._hung_up = False

    def stop_with(
        self, stop: Callable[[], None], on_hangup: Callable[[], None] = lambda: None
    ) -> None:
        """Names what ends the run, and what SIGHUP does; at once, where one has come before.

        Args:
            stop: Ends the run; safe to call in a signal handler.
            on_hangup: Called at SIGHUP; safe to call in a signal handler.
        """
        self._stop, self._hangup = stop, on_hangup
        if self._hung_up:
            on_hangup()

    def stop(self) -> None:
        """Ends the run in order."""
        if self._stop is not None:
            self._stop()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """While the block runs, the first signal ends the run in order and a second one at once.

        Before there is a run that could be ended, the first one raises ``KeyboardInterrupt``.
        SIGHUP is one of these signals where the terminal that all was started from is closed,
        unless that was to be ignored, as by nohup.
        """
        handlers: dict[signal.Signals, Callable[..., None]] = {
            signal.SIGINT: self._handle,
            signal.SIGTERM: self._handle,
        }
        if _HANGUP is not None:
            follows = signal.getsignal(_HANGUP) != signal.SIG_IGN and has_terminal()

            def hung_up(*_: object) -> None:
                if follows and not has_terminal():
                    # Shell and kernel both send it, one after the other.
                    signal.signal(_HANGUP, signal.SIG_IGN)
                    drop_terminals()
                    self._interrupt()
                else:
                    self._hung_up = True
                    if self._hangup is not None:
                        self._hangup()

            handlers[_HANGUP] = hung_up
        before = {number: signal.signal(number, call) for number, call in handlers.items()}
        try:
            with _ends_at_second():
                yield
        finally:
            for number, handler in before.items():
                if signal.getsignal(number) != signal.SIG_IGN:
                    signal.signal(number, handler)

    def _handle(self, number: int, frame: object) -> None:
        del frame
        signal.signal(number, signal.default_int_handler)
        self._interrupt()

    def _interrupt(self) -> None:
        self.interrupted = True
        if self._stop is None:
            raise KeyboardInterrupt
        self._stop()


@contextlib.contextmanager
def _ends_at_second() -> Iterator[None]:
    """While the block runs, a second signal ends the process even where Python cannot.

    Python calls its handlers between two of its own steps. A model may keep the main thread in C
    for ever, so that neither the first signal nor the second would be heard.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    over = threading.Event()

    def watch() -> None:
        count = 0
        while numbers := ours.recv(64):
            count += sum(number in (signal.SIGINT, signal.SIGTERM) for number in numbers)
            if count > 1 and not over.wait(_PATIENCE):
                with contextlib.suppress(OSError):
                    os.write(2, b"Interrupted.\n")
                os._exit(_INTERRUPTED)

    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    watching = threading.Thread(target=watch, name="edgekit-signals", daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        theirs.close()
        watching.join()
        ours.close()
