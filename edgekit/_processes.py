"""Pools of processes for work on independent items, such as the videos of a dataset."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import Executor

from edgekit._parameters import write_flags, writes_flags
from edgekit.system.own_process import claim_process

__all__ = ["process_pool"]


@contextlib.contextmanager
def process_pool(workers: int) -> Iterator[Executor | None]:
    """Yields a pool of processes; None for one worker, which means this process."""
    if workers == 1:
        yield None
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from edgekit.runtime.native.library import compiled

    compiled()  # if it is missing, this process warns for all
    # A fork would copy locks of runtime threads but not the threads that release them.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_prepare, initargs=(writes_flags(),)
    ) as pool:
        yield pool


def _prepare(as_flags: bool) -> None:
    claim_process()
    write_flags(as_flags)
    logging.getLogger("edgekit").setLevel(logging.ERROR)
