"""Runs pipelines that exist already, each in a thread, until all have ended."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from edgekit.errors import EdgeKitError
from edgekit.pipeline.pipeline import Pipeline
from edgekit.pipeline.results import RunSummary

__all__ = ["Outcome", "run_all"]

Outcome: TypeAlias = RunSummary | EdgeKitError
"""Summary of a run, or the error that ended it."""

_Ended: TypeAlias = tuple[int, RunSummary | BaseException]

_POLL = 0.1
_LEAVING = 1.0


def run_all(
    pipelines: Sequence[Pipeline],
    *,
    stop: Callable[[], None],
    failed: Callable[[int, EdgeKitError], None],
) -> list[Outcome]:
    """Runs pipelines, each in its own thread, until all have ended.

    A pipeline that ends, or fails after it has begun, does not stop the others. A pipeline that
    cannot begin, or fails with another error than ``EdgeKitError``, stops them all.

    Args:
        pipelines: New pipelines; those that share a network must share a ``turn``.
        stop: Function that stops all of them; called after an error that stops all.
        failed: Function called in this thread with a pipeline's number and error, if the others
            continue.

    Returns:
        For each pipeline, in order, its summary or the error that ended it.

    Raises:
        BaseException: The first error that stopped them all, once they have ended.
    """
    done: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
    threads = [
        threading.Thread(
            target=_run, args=(number, pipeline, done), name=f"edgekit-run-{number}", daemon=True
        )
        for number, pipeline in enumerate(pipelines)
    ]
    for thread in threads:
        thread.start()
    outcomes: dict[int, Outcome] = {}
    fatal: BaseException | None = None
    ended = 0
    try:
        while ended < len(pipelines):
            # Short waits, because some systems handle signals only between waits.
            with contextlib.suppress(queue.Empty):
                number, outcome = done.get(timeout=_POLL)
                ended += 1
                if isinstance(outcome, RunSummary):
                    outcomes[number] = outcome
                elif isinstance(outcome, EdgeKitError) and pipelines[number].began:
                    outcomes[number] = outcome
                    failed(number, outcome)
                elif fatal is None:
                    fatal = outcome
                    stop()
    except BaseException:
        stop()
        end = time.monotonic() + _LEAVING
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        raise
    if fatal is not None:
        raise fatal
    return [outcomes[number] for number in range(len(pipelines))]


def _run(number: int, pipeline: Pipeline, done: queue.SimpleQueue[_Ended]) -> None:
    try:
        done.put((number, pipeline.run()))
    except BaseException as error:
        done.put((number, error))
