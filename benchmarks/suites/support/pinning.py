"""Limits the processes that a suite starts: their cores, their threads and their environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from edgekit.errors import UsageError

__all__ = ["environment", "pinned"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
