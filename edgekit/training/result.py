"""What ``edgekit.train`` returns: the weights' path, losses by epoch, and held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.training.estimate import Estimate

__all__ = ["Epoch", "TrainingResult"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """Result of one epoch.

    Attributes:
        number: Number of the epoch, from 1.
        losses: Mean of each part of the loss.
    """

    number: int
    losses: dict[str, float]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a training run.

    Attributes:
        weights: Path of the checkpoint, which holds the moving average of the network.
        history: Mean losses of each epoch that this call trained.
        held_out: frame-mAP at IoU 0.5 on the held-out part of each dataset; empty if none was held
            out.
        fresh_layers: Layers of the network for which the given checkpoint had no weights.
        estimate: What the run was estimated to need.
        process: Number of this process among those of ``torchrun``; only process 0 writes.
    """

    weights: Path
    history: list[Epoch]
    held_out: tuple[float, ...]
    fresh_layers: tuple[str, ...] = ()
    estimate: Estimate | None = None
    process: int = 0
