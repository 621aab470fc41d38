"""Counts the processor cores that inference may use."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["most_threads", "physical_cores"]

_MOST_THREADS = 64


def most_threads() -> int:
    """Returns the largest accepted number of threads; more may overload the machine."""
    return max(_MOST_THREADS, 2 * (os.cpu_count() or 1))


def physical_cores() -> int:
    """Returns the number of physical cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(siblings.format(number)).read_text() for number in allowed})
    except OSError:
        return len(allowed)
