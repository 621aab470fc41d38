"""Lets a reader report every fault of a dataset, where it would otherwise stop at the first."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from contextvars import ContextVar

from edgekit.errors import AnnotationError

__all__ = ["collected_faults", "leaving_out_faults", "tell_left_out"]

_LOG = logging.getLogger(__name__)

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
        if _COLLECTED.get() is None:
            raise
        _keep(error)


def tell_left_out(error: AnnotationError) -> None:
    """Keeps the fault that something was left out; warns of it if no ``collected_faults`` does.

    Raises:
        AnnotationError: There are too many faults.
    """
    if _COLLECTED.get() is None:
        _warn(f"{error.message} {error.hint}")
    else:
        _keep(error)


@functools.lru_cache(maxsize=_MOST_KEPT)
def _warn(message: str) -> None:
    # Each part of a dataset reads a file that is for all parts.
    _LOG.warning("%s", message)


def _keep(error: AnnotationError) -> None:
    kept = _COLLECTED.get()
    assert kept is not None  # both callers have looked
    if len(kept) >= _MOST_KEPT:
        raise AnnotationError(
            f"There are over {_MOST_KEPT} faults; the rest of the annotations was not read."
        ) from None
    # The frames of a traceback keep what they were reading.
    kept.append(error.with_traceback(None))
