"""Settings of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["MOST_STORED", "PRECISIONS", "Settings"]

MOST_STORED = 50_000_000_000
"""Largest size of the frame store by default, in bytes."""

PRECISIONS = ("fp32", "bf16", "fp16")
"""Arithmetic of a network in training."""

_SMALL_SHARE = 0.5
_SMALL_SIZE = 0.75


# Many attributes: two runs with equal settings give equal weights, so it holds all that they depend
# on.
@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a training run; two runs with equal settings give equal weights.

    Attributes:
        epochs: Number of epochs.
        images: Number of samples per epoch, drawn evenly over the datasets and over their classes.
        batch: Number of samples that go through the network at once, over all processes.
        rate: Learning rate of fresh weights.
        slow_rate: Learning rate of pretrained weights.
        size: (height, width) of the input; the first half of the epochs uses three quarters of it.
        seed: Seed for all random choices.
        kind: Kind of cascade, one of ``edgekit.runtime.kinds.KINDS``.
        frame_gap: Number of frames between the two pictures that the cascade compares.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        accumulate: Number of batches whose gradients are summed for one step of the optimizer.
        precision: Arithmetic of the network, one of ``PRECISIONS``.
    """

    epochs: int
    images: int
    batch: int
    rate: float
    slow_rate: float
    size: tuple[int, int]
    seed: int
    kind: str
    frame_gap: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    accumulate: int = 1
    precision: str = "fp32"

    @property
    def steps(self) -> int:
        """Number of steps of the optimizer in an epoch."""
        return math.ceil(self.images / (self.batch * self.accumulate))

    def size_in(self, epoch: int) -> tuple[int, int]:
        """Returns (height, width) of the input in an epoch, which is counted from 0."""
        if epoch >= _SMALL_SHARE * self.epochs:
            return self.size
        height, width = (max(64, round(s * _SMALL_SIZE / 32) * 32) for s in self.size)
        return height, width
