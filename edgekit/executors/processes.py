"""An executor of processes that survives the death of its processes."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import ParamSpec, TypeVar, cast

from edgekit._parameters import parameter, write_flags, writes_flags
from edgekit.errors import LostWorkerError, ResourceError
from edgekit.system.own_process import claim_process

__all__ = ["WorkerProcesses"]

_ATTEMPTS = 2
"""Number of processes that one item may take along; the second death is no accident."""

_PATIENCE = 3.0
"""Seconds that the processes have to end when their work is no longer wanted."""

_LOG = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class WorkerProcesses(ThreadPoolExecutor):
    """Runs functions in processes; if a process dies, a new one does its item again.

    ``concurrent.futures.ProcessPoolExecutor`` gives up all of its work when one process dies. Here
    each process belongs to the thread that waits for its answer. That thread knows which item a
    dead process had, and replaces the process.

    The result of an item is an exception, as with other executors, if its function raised it. It is
    ``LostWorkerError`` if two processes died on the item, and ``ResourceError`` if the processes
    cannot be started.

    Args:
        workers: Number of processes, each of which starts with its first item.
    """

    def __init__(self, workers: int) -> None:
        from edgekit.runtime.native.library import compiled

        compiled()  # if it is missing, this process warns for all
        super().__init__(workers)
        self._stopping = threading.Event()
        self._workers = [_Worker(self._stopping) for _ in range(workers)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedules a call in one of the processes; function and arguments have to be pickled."""
        task = partial(fn, *args, **kwargs)
        return cast("Future[T]", super().submit(self._run, task))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> bool | None:
        """Waits for all work; if an exception ended the block, it stops the work instead."""
        if kind is not None:
            self._stopping.set()
            self.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.stop()
            latest = time.monotonic() + _PATIENCE
            for worker in self._workers:
                worker.kill(latest - time.monotonic())
        self.shutdown(wait=True)
        for worker in self._workers:
            worker.close()
        return None

    def _run(self, task: Callable[[], object]) -> object:
        worker = self._idle.get()
        try:
            return worker.run(task)
        finally:
            self._idle.put(worker)


class _Worker:
    """A process and the connection to it; the process starts again after it died."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def run(self, task: Callable[[], object]) -> object:
        """Returns the task's result in the process, or raises its exception."""
        deaths: list[str] = []
        while len(deaths) < _ATTEMPTS:
            try:
                connection = self._started()
                connection.send(task)
                done, value, text = connection.recv()
            except (EOFError, ConnectionError):
                deaths.append(self._ended())
                _LOG.info("A worker process ended (%s); its work runs again.", deaths[-1])
                continue
            if done:
                return value
            raise value from _RemoteTraceback(text)
        raise LostWorkerError(
            f"The worker process ended {_ATTEMPTS} times while it worked on this: "
            f"{', then '.join(deaths)}.",
            hint=f"If the system ran out of memory, use fewer processes: {parameter('workers')}.",
        )

    def stop(self) -> None:
        """Has the process end its work, without what it has begun to write."""
        process = self._process
        if process is not None:
            process.terminate()

    def kill(self, patience: float) -> None:
        """Ends the process, after some seconds at most; its thread then gets no answer."""
        process = self._process
        if process is not None:
            process.join(max(0.0, patience))
            process.kill()

    def close(self) -> None:
        """Lets an idle process end, and waits for it."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.join()

    def _started(self) -> Connection:
        """Returns the connection to the process, started if need be."""
        if self._stopping.is_set():
            raise CancelledError
        if self._connection is not None:
            return self._connection
        # A fork would copy locks of runtime threads but not the threads that release them.
        context = multiprocessing.get_context("spawn")
        try:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, writes_flags()), daemon=True)
            process.start()
        except OSError as error:  # there are too many processes or open files, or no memory
            raise ResourceError(
                f"A worker process could not start: {error.strerror or error}.",
                hint=f"Close other programs, or use fewer processes: {parameter('workers')}.",
            ) from error
        theirs.close()
        self._process, self._connection = process, ours
        if self._stopping.is_set():  # it may have been set before the process could be killed
            process.kill()
        try:
            ours.recv()
        except EOFError:
            if self._stopping.is_set():
                raise CancelledError from None
            raise ResourceError(
                f"A worker process could not start: {self._ended()}.",
                hint="A script that starts worker processes needs this line before its work: "
                'if __name__ == "__main__":',
            ) from None
        return ours

    def _ended(self) -> str:
        """Forgets a dead process; returns how it ended."""
        assert self._process is not None
        assert self._connection is not None
        self._connection.close()
        self._process.join()
        code = self._process.exitcode or 0
        self._process = self._connection = None
        if code >= 0:
            return f"exit status {code}"
        with contextlib.suppress(ValueError):
            return f"signal {-code}, {signal.Signals(-code).name}"
        return f"signal {-code}"


class _RemoteTraceback(Exception):
    """The traceback of an exception in a worker process, as the cause of that exception."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _serve(connection: Connection, as_flags: bool) -> None:
    """Runs tasks from a connection until the other side closes it."""
    # Ctrl-C reaches all processes of a terminal; the one that waits for this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # temporary files are removed
    claim_process()
    write_flags(as_flags)
    logging.getLogger("edgekit").setLevel(logging.ERROR)
    with contextlib.suppress(EOFError, ConnectionError):
        connection.send("ready")
        while True:
            task = connection.recv_bytes()
            connection.send_bytes(_answer(task))


def _answer(task: bytes) -> memoryview:
    """Runs a pickled task; returns what it returns or raises, pickled."""
    try:
        return ForkingPickler.dumps((True, ForkingPickler.loads(task)(), ""))
    except Exception as error:
        text = traceback.format_exc()
        try:
            return ForkingPickler.dumps((False, error, text))
        except Exception:
            plain = RuntimeError(f"{type(error).__name__}: {error}")
            return ForkingPickler.dumps((False, plain, text))
