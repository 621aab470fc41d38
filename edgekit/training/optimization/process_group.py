"""Joins the processes that ``torchrun`` starts into one training run."""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from edgekit._parameters import parameter
from edgekit.errors import ResourceError, UsageError

__all__ = ["ALONE", "ProcessGroup", "process_group"]

T = TypeVar("T")

_LONGEST_WAIT = timedelta(days=1)
"""Other processes wait while the first one of each machine stores the frames of the videos."""

_LOST = ("connection closed", "connection reset", "broken pipe", "gloo", "nccl")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process among all that train together; alone, its methods change nothing.

    Attributes:
        number: Number of this process, from 0; process 0 writes and prints.
        count: Number of processes.
        local: Number of this process on its machine, from 0.
    """

    number: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes and prints for all."""
        return self.number == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Returns the sum of a tensor over all processes; the tensor is overwritten."""
        if self.count > 1:
            distributed.all_reduce(tensor)
        return tensor

    def from_first(self, value: T) -> T:
        """Returns the value that process 0 gave."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Waits until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def wrapped(self, network: nn.Module) -> nn.Module:
        """Returns a network whose gradients are averaged over all processes.

        Batch norms get the statistics of the batch of all processes.
        """
        if self.count == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        from edgekit.training.optimization.synced_batch_norm import synchronize

        synchronize(network)
        return DistributedDataParallel(network)


ALONE = ProcessGroup()
"""A process that trains alone."""


@contextlib.contextmanager
def process_group(batch: int) -> Iterator[ProcessGroup]:
    """Yields this process's place among the processes that ``torchrun`` started, or ``ALONE``.

    Args:
        batch: Number of samples that all processes share in a step.

    Raises:
        UsageError: The processes cannot share a batch evenly.
        ResourceError: Another process has ended.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or "RANK" not in os.environ:
        yield ALONE
        return
    if batch % count:
        more = -(-batch // count) * count
        raise UsageError(
            f"Expected {parameter('batch')} to be a multiple of the {count} processes; found "
            f"{batch}.",
            hint=f"Use {parameter('batch', more)}.",
        )
    group = ProcessGroup(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")))
    try:
        _join(group)
        yield group
        group.wait()
    except (RuntimeError, ConnectionError) as error:
        if not any(words in str(error).lower() for words in _LOST):
            raise
        raise ResourceError(
            f"Process {group.number} of {count} lost the others: one of them has ended.",
            hint="The message of the process that ended first says why. To go on, add "
            f"{parameter('resume', True)}.",
        ) from error


def _join(group: ProcessGroup) -> None:
    """Connects this process with the others, unless it was before.

    It stays connected until it exits: another connection would find the addresses of the first one.
    """
    if distributed.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(group.local)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    store, rank, count = next(iter(rendezvous("env://", timeout=_LONGEST_WAIT)))
    # torchrun keeps its store when it starts the processes again, with the addresses of dead ones.
    attempt = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    distributed.init_process_group(
        backend, store=attempt, rank=rank, world_size=count, timeout=_LONGEST_WAIT
    )
    atexit.register(_leave)


def _leave() -> None:
    with contextlib.suppress(RuntimeError):
        distributed.destroy_process_group()
