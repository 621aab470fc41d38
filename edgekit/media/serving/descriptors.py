"""Keeps file descriptors free for the outputs of a run, however many clients connect."""

from __future__ import annotations

import sys

__all__ = ["most_descriptors"]

_SPARE = 16
"""Number of file descriptors reserved for files, clips and brokers."""


def most_descriptors() -> int:
    """Returns the file descriptor number from which connections are refused.

    The system assigns the lowest free number, so numbers show how many are in use.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - _SPARE
