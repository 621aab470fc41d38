"""Estimates the memory and the time that a training run needs, before it starts."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from edgekit._printable import plural
from edgekit.runtime.kinds import input_channels
from edgekit.training.data.clip_index import ClipIndex
from edgekit.training.settings import Settings

__all__ = ["Estimate", "activation_bytes", "estimate", "seconds_left"]

_COPIES = 5
"""Copies of the parameters: weights, their average, gradients, and two moments of the optimizer."""

_PROGRAM = 350_000_000
_WORKER = 300_000_000
"""Memory of a process before its first sample, with the libraries that it loads."""

_AHEAD = 2
"""Number of batches that each worker process makes ahead."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory and time that a run will need.

    Attributes:
        clips: Number of clips to learn from.
        frames: Number of their frames.
        boxes: Number of annotated boxes in them.
        samples: Number of samples that the network will see.
        steps: Number of steps of the optimizer.
        memory: Bytes of memory for the process, on the GPU if there is one; None if unknown.
        worker_memory: Bytes of memory for all worker processes and what they made ahead.
        disk: Bytes of the frames that have to be stored first.
        seconds: Seconds for the rest of the run after its first steps; None in a shorter run.
    """

    clips: int
    frames: int
    boxes: int
    samples: int
    steps: int
    memory: int | None
    worker_memory: int
    disk: int = 0
    seconds: float | None = None

    def __str__(self) -> str:
        memory = f", {self.memory / 1e9:.1f} GB of memory" if self.memory is not None else ""
        with_workers = memory and self.worker_memory
        workers = f" and {self.worker_memory / 1e9:.1f} GB for its workers" if with_workers else ""
        return (
            f"{self.clips:,} {plural('clip', self.clips)} with {self.frames:,} frames and "
            f"{self.boxes:,} boxes; {self.samples:,} {plural('sample', self.samples)} in "
            f"{self.steps:,} {plural('step', self.steps)}{memory}{workers}."
        )


def estimate(
    clips: ClipIndex, network: nn.Module, settings: Settings, *, workers: int, processes: int = 1
) -> Estimate:
    """Returns what a run will need of each process.

    Args:
        clips: Clips to learn from.
        network: Network to train.
        settings: Settings of the run.
        workers: Number of worker processes.
        processes: Number of processes that share a batch.
    """
    batch = max(1, settings.batch // processes)
    channels = input_channels(settings.kind)
    activations = activation_bytes(network, (batch, channels, *settings.size))
    memory = None
    if activations is not None:
        kept = sum(value.numel() * value.element_size() for value in network.parameters())
        memory = _PROGRAM + _COPIES * kept + activations
    per_batch = batch * channels * settings.size[0] * settings.size[1] * 4
    steps = settings.steps * settings.epochs
    return Estimate(
        len(clips.datasets),
        int(clips.start[-1]),
        len(clips.boxes),
        steps * settings.batch * settings.accumulate,
        steps,
        memory,
        workers * (_WORKER + _AHEAD * per_batch),
    )


def activation_bytes(network: nn.Module, shape: tuple[int, ...]) -> int | None:
    """Returns the bytes that a forward pass keeps for the backward pass, in float32.

    The network runs on torch's meta device: with shapes, and without memory or arithmetic.

    Args:
        network: Network, which is not changed.
        shape: Shape of the input.

    Returns:
        The bytes, or None if an operator of the network does not know the meta device.
    """
    try:
        shadow = copy.deepcopy(network).to("meta").train()
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if not tensor.is_leaf:
                kept[storage._cdata] = storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            shadow(torch.empty(shape, device="meta"))
    except (RuntimeError, NotImplementedError):
        return None
    return sum(storage.nbytes() for storage in kept.values())


def seconds_left(settings: Settings, epoch: int, step: int, seconds: float) -> float:
    """Returns the seconds of the rest of a run; a step takes as long as its input is large.

    Args:
        settings: Settings of the run.
        epoch: Epoch in which steps were measured, from 0.
        step: Number of finished steps in that epoch.
        seconds: Seconds of one step.
    """

    def area(number: int) -> int:
        height, width = settings.size_in(number)
        return height * width

    steps = settings.steps - step
    total = steps * area(epoch)
    total += sum(settings.steps * area(number) for number in range(epoch + 1, settings.epochs))
    return seconds * total / area(epoch)
