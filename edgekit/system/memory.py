"""Measures the memory of the machine, and sets how this process takes and returns it."""

from __future__ import annotations

import ctypes
import os

__all__ = ["memory_gib", "return_freed_memory", "share_heap"]

_SETTINGS = (
    # glibc gives threads up to 8 heaps for each core. Decoders free pictures in other threads than
    # they allocate them in, so each heap grows to the most that it ever held.
    (-8, 1),  # M_ARENA_MAX
    # Freed pictures of up to 8K are used again; otherwise each would need newly mapped pages.
    (-3, 32 << 20),  # M_MMAP_THRESHOLD, whose largest value this is
    (-1, 128 << 20),  # M_TRIM_THRESHOLD
)
"""Parameters of ``mallopt`` in glibc, and their values."""


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


def share_heap() -> None:
    """Lets all threads of this process allocate from one heap, which keeps freed pictures.

    Call it only in a process of EdgeKit's own, before it starts threads. Other C libraries than
    glibc are left as they are.
    """
    set_parameter = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_parameter is not None:
        for parameter, value in _SETTINGS:
            set_parameter(parameter, value)
