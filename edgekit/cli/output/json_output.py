"""Reserves standard output for one JSON object, whatever libraries print."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["end_output", "kept_free"]

_OUT, _ERROR = 1, 2


@contextlib.contextmanager
def kept_free(*, wanted: bool) -> Iterator[None]:
    """Redirects to standard error what Python or C code prints within the block.

    Args:
        wanted: Whether to redirect; False changes nothing.
    """
    if not wanted or sys.stdout is None:
        yield
        return
    sys.stdout.flush()
    own = os.dup(_OUT) if _is_process_output() else None
    try:
        if own is not None:
            os.dup2(_ERROR, _OUT)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if own is not None:
            os.dup2(own, _OUT)
            os.close(own)


def end_output() -> None:
    """Redirects standard output to standard error, for text that C libraries print at exit."""
    with contextlib.suppress(OSError):
        os.dup2(_ERROR, _OUT)


def _is_process_output() -> bool:
    try:
        return sys.stdout.fileno() == _OUT
    except (OSError, ValueError, AttributeError):  # a test or a notebook has replaced sys.stdout
        return False
