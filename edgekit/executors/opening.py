"""Opens the executor that the options of a command ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

__all__ = ["open_executor"]


@contextlib.contextmanager
def open_executor(workers: int) -> Iterator[Executor | None]:
    """Yields an executor; its work stops when the block ends by an exception.

    Args:
        workers: Number of processes of this machine; with 1 there is no executor, and the caller
            does the work itself.

    Raises:
        ResourceError: The processes end before they begin their work.
    """
    if workers == 1:
        yield None
        return
    from edgekit.executors.processes import WorkerProcesses

    with WorkerProcesses(workers) as executor:
        yield executor
