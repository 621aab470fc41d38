"""Times several functions in turn, so that changes of the machine affect all of them equally."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

import cv2
import numpy as np

from edgekit.errors import UsageError
from edgekit.measuring.machine import processor

__all__ = ["environment", "interleaved", "machine", "pinned"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def machine() -> str:
    """Returns a line that describes the machine."""
    parts = (
        processor(),
        f"{os.cpu_count()} cores",
        f"load {os.getloadavg()[0]:.1f}",
        f"Python {platform.python_version()}",
        f"numpy {np.__version__}",
        f"OpenCV {cv2.__version__}",
    )
    return ", ".join(parts)


def interleaved(
    ways: Mapping[str, Callable[[], object]], *, repeats: int = 20, warm_up: int = 2
) -> dict[str, float]:
    """Returns the median seconds of each way, called in turn.

    Args:
        ways: Functions by name; each is called without arguments.
        repeats: Number of measured calls of each.
        warm_up: Number of calls of each before the measured ones.
    """
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + repeats):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn >= warm_up:
                spent[name].append(time.perf_counter() - begin)
    return {name: statistics.median(times) for name, times in spent.items()}


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Gives these variables to processes that are started inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Limits processes started inside the block to some cores, and libraries to as many threads.

    Raises:
        UsageError: There are too few cores, or the system cannot restrict a process to cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError(
            "EdgeKit can choose the cores of a process on Linux only.",
            hint="Leave out the number of cores, or measure on Linux.",
        )
    before = os.sched_getaffinity(0)
    if len(before) < cores:
        raise UsageError(
            f"{cores} cores were requested, but this process may use only {len(before)}.",
            hint=f"Request {len(before)} cores or fewer.",
        )
    # Use the last cores: the first often serves the interrupts.
    os.sched_setaffinity(0, sorted(before)[-cores:])
    try:
        with environment(dict.fromkeys(_THREADS, str(cores))):
            yield
    finally:
        os.sched_setaffinity(0, before)
