"""Opens the executor that the options of a command ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

__all__ = ["open_executor"]


@contextlib.contextmanager
def open_executor(workers: int = 1, cluster: str | None = None) -> Iterator[Executor | None]:
    """Yields an executor; its work stops when the block ends by an exception.

    Args:
        workers: Number of processes of this machine; with 1 there is no executor, and the caller
            does the work itself.
        cluster: Address of the scheduler of a Dask cluster, whose workers are used instead.

    Raises:
        UsageError: The address has another form.
        MissingDependencyError: The package distributed is not installed.
        ClusterError: There is no such cluster, its versions differ, or it has no workers.
    """
    if cluster is not None:
        from edgekit.executors.cluster import open_cluster

        with open_cluster(cluster) as there:
            yield there
        return
    if workers == 1:
        yield None
        return
    from edgekit.executors.processes import WorkerProcesses

    with WorkerProcesses(workers) as executor:
        yield executor
