"""Several pipelines side by side."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from edgekit.errors import EdgeKitError
from edgekit.runtime.pipeline import Pipeline
from edgekit.runtime.results import RunSummary

__all__ = ["Outcome", "run_all"]

Outcome: TypeAlias = RunSummary | EdgeKitError
"""What a run came to, or why it ended."""

_POLL = 0.1
_LEAVING = 1.0


def run_all(
    pipelines: Sequence[Pipeline],
    *,
    stop: Callable[[], None],
    failed: Callable[[int, EdgeKitError], None],
) -> list[Outcome]:
    """Runs pipelines, each in a thread of its own, until all have ended.

    One that ends, or fails after it has begun, leaves the others going. One that cannot begin, or
    fails in a way that is no ``EdgeKitError``, ends them all.

    Args:
        pipelines: Made for this; they share a ``turn`` where they share a network.
        stop: Ends them all; called where an error does.
        failed: Called in this thread with the number of a pipeline and its error, where the others
            go on.

    Returns:
        For each pipeline, in order, its summary or the error that ended it.

    Raises:
        BaseException: The first error that ended them all, once they have ended.
    """
    done: queue.SimpleQueue[tuple[int, RunSummary | BaseException]] = queue.SimpleQueue()

    def run(number: int) -> None:
        try:
            done.put((number, pipelines[number].run()))
        except BaseException as error:
            done.put((number, error))

    threads = [
        threading.Thread(target=run, args=(number,), name=f"edgekit-run-{number}", daemon=True)
        for number in range(len(pipelines))
    ]
    for thread in threads:
        thread.start()
    outcomes: dict[int, Outcome] = {}
    fatal: BaseException | None = None
    ended = 0
    try:
        while ended < len(pipelines):
            # In short waits, because a signal is only handled between them on some systems.
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
