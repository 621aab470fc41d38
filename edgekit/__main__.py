"""``python -m edgekit`` is ``edgekit``, the console script."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

__all__ = ["start"]

_INTERRUPTED = 130


def start() -> NoReturn:
    """Imports the command line and runs it; the console script.

    Ctrl-C ends the process without a word while nothing is begun that could be ended in order:
    Python would say which of the imports it was at, and end by the signal.
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
