"""Measures the memory of the machine, and returns freed memory to it."""

from __future__ import annotations

import ctypes
import os

__all__ = ["memory_gib", "return_freed_memory"]


def memory_gib() -> float | None:
    """Returns the size of the memory in GiB, to one digit after the point; None if unknown."""
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def return_freed_memory() -> None:
    """Returns memory that this process has freed to the system, if the C library can.

    It needs some milliseconds, in which other Python threads run. Without it, glibc keeps what a
    closed model has used, in pieces that the next model may not fit into.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
