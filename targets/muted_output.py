"""Suppresses what converters and inference runtimes print, in a process that is EdgeKit's own.

Warnings, log records and standard streams belong to all threads of a process. In a program that
uses EdgeKit, a tool's messages therefore go where that program sends them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

from edgekit.system.own_process import is_own_process

__all__ = ["muted"]


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Suppresses Python warnings, log records and prints inside the ``with`` block.

    In another program's process it only removes the log handler that a tool adds.
    """
    if not is_own_process():
        with _unhandled():
            yield
        return
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextlib.contextmanager
def _unhandled() -> Iterator[None]:
    """Removes a log handler that is added inside the block, if there was none before.

    A tool's ``logging.info(...)`` adds one, and the program's own ``basicConfig`` would then do
    nothing.
    """
    root = logging.root
    before = [*root.handlers]
    try:
        yield
    finally:
        for handler in [] if before else [*root.handlers]:
            root.removeHandler(handler)
