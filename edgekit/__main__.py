"""Runs the command line for ``python -m edgekit`` and the console script ``edgekit``."""

from __future__ import annotations

import sys
from typing import NoReturn

from edgekit._early_signals import listen, stop_listening

__all__ = ["start"]


def start() -> NoReturn:
    """Imports the command line and runs it; entry point of the console script."""
    listen(sys.argv[1:])
    from edgekit.cli import program

    stop_listening(sys.argv[1:])
    program()


if __name__ == "__main__":
    start()
