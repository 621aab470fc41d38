"""Lets a reader report every fault of a dataset, where it would otherwise stop at the first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from edgekit.errors import AnnotationError

__all__ = ["collected_faults", "leaving_out_faults"]

_MOST_KEPT = 1000

_COLLECTED: ContextVar[list[AnnotationError] | None] = ContextVar("faults", default=None)


@contextlib.contextmanager
def collected_faults() -> Iterator[list[AnnotationError]]:
    """Yields a list that receives the faults that readers find in the block.

    A reader leaves out what is wrong and goes on. Without this block, it raises the first fault.
    """
    found: list[AnnotationError] = []
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


@contextlib.contextmanager
def leaving_out_faults() -> Iterator[None]:
    """Surrounds one video or tube, which a reader leaves out if it is wrong and faults are kept.

    Raises:
        AnnotationError: The fault, if no ``collected_faults`` keeps it, or that there are too many.
    """
    try:
        yield
    except AnnotationError as error:
        kept = _COLLECTED.get()
        if kept is None:
            raise
        if len(kept) >= _MOST_KEPT:
            raise AnnotationError(
                f"There are over {_MOST_KEPT} faults; the rest of the annotations was not read."
            ) from None
        # The frames of a traceback keep what they were reading.
        kept.append(error.with_traceback(None))
