"""Handles signals while the command line is imported, and after its command has ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "command_ended",
    "has_terminal",
    "hung_up",
    "interrupted",
    "listen",
    "stop_listening",
]

_INTERRUPTED = 130
_HANGUP = getattr(signal, "SIGHUP", None)

_command_ended = False
_hung_up = False
_interrupted = False


def listen(words: Sequence[str]) -> None:
    """Handles signals until the command does; call it before the command line is imported.

    Ctrl-C ends the process silently, because nothing needs an orderly end yet. Python itself would
    print a traceback of the interrupted import. SIGTERM does the same for ``run``. SIGHUP ends a
    ``run`` only if its terminal was closed; otherwise ``hung_up`` reports it.

    Args:
        words: Command line without the name of the program.
    """
    _replace(signal.SIGINT, signal.default_int_handler, _quit)
    if words[:1] != ["run"]:
        return
    _replace(signal.SIGTERM, signal.SIG_DFL, _quit)
    if _HANGUP is not None:
        had_terminal = has_terminal()

        def hang_up(*_: object) -> None:
            global _hung_up
            _hung_up = True
            if had_terminal and not has_terminal():
                _quit()

        _replace(_HANGUP, signal.SIG_DFL, hang_up)


def stop_listening(words: Sequence[str]) -> None:
    """Lets Ctrl-C and SIGTERM raise ``KeyboardInterrupt``, after the imports.

    Temporary files are then removed, and converters end too. ``run`` has its own handlers. SIGTERM
    still ends ``train`` at once: torchrun ends processes by it that wait for others in torch.

    Args:
        words: Command line without the name of the program.
    """
    if words[:1] == ["run"]:
        return
    _replace(signal.SIGINT, _quit, _interrupt)
    if words[:1] != ["train"]:
        _replace(signal.SIGTERM, signal.SIG_DFL, _interrupt)


def interrupted() -> bool:
    """Returns whether Ctrl-C or SIGTERM interrupted the command.

    Python or a package may lose the exception, for example while torch is imported. What fails
    afterwards fails for that reason.
    """
    return _interrupted


def hung_up() -> bool:
    """Returns whether SIGHUP arrived before the command handled it."""
    return _hung_up


def command_ended() -> None:
    """States that only the outcome remains to be printed, which no signal may prevent."""
    global _command_ended
    _command_ended = True


def has_terminal() -> bool:
    """Returns whether this process has a controlling terminal that still exists."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _interrupt(*_: object) -> None:
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


def _quit(*_: object) -> None:
    if not _command_ended:
        os._exit(_INTERRUPTED)


def _replace(number: signal.Signals, usual: Any, handler: Callable[..., Any]) -> None:
    if signal.getsignal(number) == usual:
        signal.signal(number, handler)
