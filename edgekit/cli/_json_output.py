"""Standard output that belongs to one JSON object, whatever a library prints."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["end_output", "kept_free"]

_OUT, _ERROR = 1, 2


@contextlib.contextmanager
def kept_free(*, wanted: bool) -> Iterator[None]:
    """Sends to standard error what anybody prints in the block, from Python or from C.

    Args:
        wanted: Else nothing is changed.
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
    """Sends to standard error what C libraries have kept back until the process ends."""
    with contextlib.suppress(OSError):
        os.dup2(_ERROR, _OUT)


def _is_process_output() -> bool:
    try:
        return sys.stdout.fileno() == _OUT
    except (OSError, ValueError, AttributeError):  # a test or a notebook has taken its place
        return False
