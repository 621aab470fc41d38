"""Runs the command line for ``python -m edgekit`` and the console script ``edgekit``."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

__all__ = ["start"]

_INTERRUPTED = 130


def start() -> NoReturn:
    """Imports the command line and runs it; entry point of the console script.

    During the imports, Ctrl-C ends the process silently, because nothing needs an orderly end yet.
    Python itself would print a traceback of the interrupted import and end by the signal.
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    from edgekit.cli import program

    if usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    program()


if __name__ == "__main__":
    start()
