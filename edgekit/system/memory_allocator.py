"""DEVICE. Lets the threads of a process share one heap, in which they free each other's blocks."""

from __future__ import annotations

import ctypes

__all__ = ["share_heap"]

_SETTINGS = (
    # glibc gives threads up to 8 heaps for each core. Decoders free pictures in other threads than
    # they allocate them in, so each heap grows to the most that it ever held.
    (-8, 1),  # M_ARENA_MAX
    # Freed pictures of up to 8K are used again; otherwise each would need newly mapped pages.
    (-3, 32 << 20),  # M_MMAP_THRESHOLD, whose largest value this is
    (-1, 128 << 20),  # M_TRIM_THRESHOLD
)
"""Parameters of ``mallopt`` in glibc, and their values."""


def share_heap() -> None:
    """Lets all threads of this process allocate from one heap, which keeps freed pictures.

    Call it only in a process of EdgeKit's own, before it starts threads. Other C libraries than
    glibc are left as they are.
    """
    set_parameter = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_parameter is not None:
        for parameter, value in _SETTINGS:
            set_parameter(parameter, value)
