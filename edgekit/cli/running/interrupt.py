"""Turns Ctrl-C, SIGTERM and a closed terminal into a request for an orderly end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

from edgekit._early_signals import has_terminal, hung_up
from edgekit.cli.output.outcome import INTERRUPTED
from edgekit.cli.output.standard_streams import drop_terminals

__all__ = ["Stopper"]

_PATIENCE = 1.0
"""Seconds that the process has to end by itself after the second signal."""

_HANGUP = getattr(signal, "SIGHUP", None)


class Stopper:
    """Forwards a stop request to the run, even if the run is created after the request.

    Attributes:
        interrupted: Whether a signal made the request.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._stop: Callable[[], None] | None = None
        self._hangup: Callable[[], None] | None = None
        self._hung_up = False

    def stop_with(
        self, stop: Callable[[], None], on_hangup: Callable[[], None] = lambda: None
    ) -> None:
        """Sets the functions that stop the run and handle SIGHUP; handles an earlier SIGHUP.

        Args:
            stop: Function that stops the run; safe to call in a signal handler.
            on_hangup: Function to call on SIGHUP; safe to call in a signal handler.
        """
        self._stop, self._hangup = stop, on_hangup
        if self.interrupted:
            # Python ignores what a handler raises while a module is imported, at some moments.
            raise KeyboardInterrupt
        if self._hung_up:
            on_hangup()

    @contextlib.contextmanager
    def stopping_with(self, stop: Callable[[], None]) -> Iterator[None]:
        """Handles signals while the block runs, as ``listening`` does.

        Args:
            stop: Function that stops what the block runs; safe to call in a signal handler.
        """
        self.stop_with(stop)
        with self.listening():
            yield

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handles signals while the block runs: the first stops the run, the second ends it now.

        Before there is a run to stop, the first signal raises ``KeyboardInterrupt``. SIGHUP counts
        as such a signal if the terminal that started the program was closed. It does not count if
        it was ignored at the start, as with nohup.
        """
        handlers: dict[signal.Signals, Callable[..., None]] = {
            signal.SIGINT: self._handle,
            signal.SIGTERM: self._handle,
        }
        if _HANGUP is not None:
            follows = signal.getsignal(_HANGUP) != signal.SIG_IGN and has_terminal()

            def hang_up(*_: object) -> None:
                if follows and not has_terminal():
                    # The shell and the kernel both send SIGHUP, one after the other.
                    signal.signal(_HANGUP, signal.SIG_IGN)
                    drop_terminals()
                    self._interrupt()
                else:
                    self._hung_up = True
                    if self._hangup is not None:
                        self._hangup()

            handlers[_HANGUP] = hang_up
        self._hung_up = self._hung_up or hung_up()
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
    """Ends the process at a second signal while the block runs, even if Python cannot react.

    Python calls signal handlers only between two of its own instructions. A model that never
    returns from C would keep the main thread from handling any signal.
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
                os._exit(INTERRUPTED.status)

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
