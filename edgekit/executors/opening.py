"""Opens the executor that the options of a command ask for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

from edgekit._parameters import parameter
from edgekit.errors import UsageError

__all__ = ["check_executor", "open_executor"]


def check_executor(workers: int, cluster: str | None) -> None:
    """Raises ``UsageError`` if processes of this machine and a cluster are both asked for.

    Args:
        workers: Number of processes of this machine.
        cluster: Address of the scheduler of a Dask cluster, if one is to be used.
    """
    if cluster is not None and workers > 1:
        raise UsageError(
            f"{parameter('cluster')} and {parameter('workers')} cannot be used together.",
            hint=f"Leave out {parameter('workers')}: the cluster has its own.",
        )


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
