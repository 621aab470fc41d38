"""An executor on the workers of a Dask cluster, by ``dask.distributed``."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import edgekit
from edgekit._parameters import parameter, write_flags, writes_flags
from edgekit.calibration.store import key_of
from edgekit.errors import ClusterError, LostWorkerError, MissingDependencyError, UsageError
from edgekit.system.own_process import claim_process
from edgekit.system.telemetry import opt_out

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["ClusterExecutor", "open_cluster"]

_TIMEOUT = 10
"""Seconds to wait for the scheduler, and for the first worker."""

_PACKAGES = ("python", "dask", "distributed", "msgpack", "cloudpickle")
"""Packages whose versions scheduler, workers and this process must share."""

_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application")

_LOG = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class ClusterExecutor(Executor):
    """Runs functions on the workers of a cluster; Dask repeats the work of a lost worker.

    The result of an item is an exception, as with other executors, if its function raised it. It is
    ``LostWorkerError`` if too many workers were lost with the item, and ``ClusterError`` if the
    connection to the cluster was.

    Args:
        client: Connection to the cluster; ``open_cluster`` makes it.
        address: Address of the scheduler, for messages.
    """

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self._inner = client.get_executor()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedules a call on one of the workers; function and arguments have to be pickled."""
        outer: Future[T] = Future()
        outer.set_running_or_notify_cancel()
        task = partial(fn, *args, **kwargs)
        inner = self._inner.submit(_run, task, writes_flags())
        inner.add_done_callback(partial(self._finish, outer))
        return outer

    def require(self, paths: Iterable[Path]) -> None:
        """Checks that all workers see files or folders by the paths that they have here.

        Raises:
            ClusterError: A worker does not see one of them.
        """
        for path in paths:
            seen = self._on_workers(_sees, str(path.absolute()))
            blind = [worker for worker, sees in seen.items() if sees is not True]
            if blind:
                raise ClusterError(
                    f"{len(blind)} of {len(seen)} workers of {self._address} do not see "
                    f"{path.absolute()}, for example {blind[0]}.",
                    hint="Put the bundle and the videos into a folder that has the same path on "
                    "all machines of the cluster.",
                )

    def check_workers(self) -> None:
        """Checks that the cluster has workers, and that they run the code that runs here.

        Raises:
            ClusterError: There is no worker, or one has another EdgeKit or none.
        """
        if not self._client.nthreads():
            with contextlib.suppress(TimeoutError):
                self._client.wait_for_workers(1, timeout=_TIMEOUT)
        found = self._on_workers(_code)
        if not found:
            raise ClusterError(
                f"The cluster at {self._address} has no workers.",
                hint=f"Start one on each machine: dask worker {self._address} --nthreads 1",
            )
        for worker, code in found.items():
            if code != _code():
                what = f"EdgeKit {code[0]}" if isinstance(code, tuple) else "no EdgeKit"
                raise ClusterError(
                    f"The worker {worker} has {what}; expected EdgeKit {edgekit.__version__} as it "
                    "is on this machine.",
                    hint="Install the same version of EdgeKit, with the same extras, on all "
                    "machines of the cluster.",
                )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Does nothing: ``open_cluster`` ends the connection, and with it the work."""

    def _on_workers(self, function: Callable[..., object], *args: object) -> dict[str, object]:
        """Returns the results of a function on all workers, or their exceptions, by address."""
        found = self._client.run(function, *args, on_error="return")
        return dict(sorted(found.items()))

    def _finish(self, outer: Future[T], inner: Future[T]) -> None:
        """Passes an outcome on, in the errors of this package."""
        from distributed import KilledWorker

        error = CancelledError() if inner.cancelled() else inner.exception()
        if isinstance(error, CancelledError):
            outer.set_exception(_gone(self._address))
        elif isinstance(error, KilledWorker):
            outer.set_exception(
                LostWorkerError(
                    "The cluster lost a worker each time that one worked on this.",
                    hint="See the logs of the workers. If they ran out of memory, give them fewer "
                    "threads.",
                )
            )
        elif error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())


@contextlib.contextmanager
def open_cluster(address: str) -> Iterator[ClusterExecutor]:
    """Yields an executor on a Dask cluster; unfinished work is cancelled when the block ends.

    Args:
        address: Address of the scheduler, such as ``tcp://10.0.0.5:8786``.

    Raises:
        UsageError: The address has another form.
        MissingDependencyError: The package distributed is not installed.
        ClusterError: There is no such cluster, its versions differ, or it has no workers.
    """
    if "://" not in address:
        raise UsageError(
            f"Expected {parameter('cluster')} to be the address of a Dask scheduler; found "
            f"{address!r}.",
            hint=f"For example: {parameter('cluster', 'tcp://10.0.0.5:8786')}",
        )
    MissingDependencyError.unless("distributed", "cluster", "A cluster")
    with _silent():
        client = _connected(address)
        try:
            executor = ClusterExecutor(client, address)
            executor.check_workers()
            _LOG.warning(
                "Threads on the workers of %s: %s. Its dashboard: %s",
                address,
                " + ".join(str(threads) for threads in client.nthreads().values()),
                client.dashboard_link or "none",
            )
            yield executor
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=2)


def _connected(address: str) -> Client:
    from distributed import Client

    try:
        client = Client(
            address, timeout=_TIMEOUT, name="edgekit", set_as_default=False, heartbeat_interval="1s"
        )
    except (OSError, ValueError, ImportError) as error:
        raise ClusterError(
            f"Cannot reach a Dask cluster at {address}: {str(error).splitlines()[0]}",
            hint="Start one with: dask scheduler, and on each machine: dask worker ADDRESS",
        ) from error
    try:
        _check_versions(client, address)
    except BaseException:
        client.close(timeout=2)
        raise
    return client


def _check_versions(client: Client, address: str) -> None:
    """Raises if scheduler or workers have another Python or Dask than this process."""
    found = client.get_versions()
    here = found["client"]["packages"]
    for place, there in {"the scheduler": found["scheduler"], **found["workers"]}.items():
        for name in _PACKAGES:
            version = there["packages"].get(name)
            if _essential(name, version) != _essential(name, here[name]):
                raise ClusterError(
                    f"The cluster at {address} has other versions than this machine: {name} "
                    f"{version} on {place}, {here[name]} here.",
                    hint="Install the same versions on all machines of the cluster.",
                )


def _essential(name: str, version: str | None) -> str:
    """Returns the part of a version that must be equal; Python's patch releases may differ."""
    return ".".join(str(version).split(".")[:2]) if name == "python" else str(version)


def _gone(address: str) -> ClusterError:
    return ClusterError(
        f"The connection to the cluster at {address} was lost.",
        hint="What was finished is kept. The same command continues from there, when the cluster "
        f"is back or without {parameter('cluster')}.",
    )


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Hides messages and warnings of Dask in this block: EdgeKit says what they mean."""
    import distributed  # noqa: F401  # sets the levels of its loggers

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"distributed(\..*)?")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _run(task: Callable[[], T], as_flags: bool) -> T:
    """Runs a task on a worker, whose process serves nothing but such tasks."""
    opt_out(os.environ)
    claim_process()
    write_flags(as_flags)
    logging.getLogger("edgekit").setLevel(logging.ERROR)
    return task()


def _code() -> tuple[str, str]:
    """Returns version and checksum of the code of EdgeKit."""
    return edgekit.__version__, key_of()


def _sees(path: str) -> bool:
    return Path(path).exists()
