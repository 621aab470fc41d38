"""Says which batch to try when a step needs more memory than there is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edgekit._parameters import parameter
from edgekit.errors import ResourceError
from edgekit.system.shortage import GPU_MEMORY, MEMORY, shortage_of
from edgekit.training.settings import Settings

__all__ = ["naming_a_smaller_batch"]


@contextlib.contextmanager
def naming_a_smaller_batch(settings: Settings, processes: int = 1) -> Iterator[None]:
    """Converts a shortage of memory in the block to an error that names the settings to try.

    Args:
        settings: Settings of the run.
        processes: Number of processes that share a batch.

    Raises:
        ResourceError: There was too little memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        shortage = shortage_of(error)
        if shortage is None or shortage.message not in (MEMORY, GPU_MEMORY):
            raise
        where = "The GPU has" if shortage.message == GPU_MEMORY else "This machine has"
        raise ResourceError(
            f"{where} too little memory for {parameter('batch', settings.batch)} at an input of "
            f"{settings.size[0]}x{settings.size[1]}.",
            hint=_advice(settings, processes),
        ) from error


def _advice(settings: Settings, processes: int) -> str:
    """Returns the half batch with twice the accumulation, which is nearly the same training."""
    half = settings.batch // 2 // processes * processes
    if half >= max(2, processes):
        accumulate = -(-settings.batch * settings.accumulate // half)
        return (
            f"Try {parameter('batch', half)} {parameter('accumulate', accumulate)}: as many "
            "samples for each step of the optimizer, in half the memory."
        )
    smaller = max(64, settings.size[0] // 64 * 32)
    return f"Try a smaller input: {parameter('input_size', smaller)}"
