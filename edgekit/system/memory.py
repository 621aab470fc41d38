"""Tells how much memory the machine has."""

from __future__ import annotations

import os

__all__ = ["memory_gib"]


def memory_gib() -> float | None:
    """Returns the size of the memory in GiB, to one digit after the point; None if unknown."""
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
