"""Defines the result of ``edgekit.train``: path of the weights, losses, and held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edgekit.training.estimate import Estimate

__all__ = ["Best", "Epoch", "TrainingResult"]


@dataclass(frozen=True, slots=True)
class Epoch:
    """Result of one epoch.

    Attributes:
        number: Number of the epoch, from 1.
        losses: Mean of each part of the loss.
        rate: Learning rate of fresh weights at its end.
        held_out: frame-mAP at IoU 0.5 after it, for each dataset that was scored; empty if none
            was.
    """

    number: int
    losses: dict[str, float]
    rate: float = 0.0
    held_out: tuple[float, ...] = ()

    def __str__(self) -> str:
        scores = ", ".join(f"{score:.3f}" for score in self.held_out)
        scored = f", frame-mAP@0.5 {scores}" if scores else ""
        return f"epoch {self.number}, loss {self.losses['total']:.3f}{scored}"


class Best(NamedTuple):
    """Best validation of a run.

    Attributes:
        epoch: Number of its epoch, from 1.
        held_out: frame-mAP at IoU 0.5 of each dataset; their mean is compared.
    """

    epoch: int
    held_out: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a training run.

    Attributes:
        weights: Path of the checkpoint, which holds the moving average of the network: the best one
            of a run that is validated during its epochs, else the last one.
        history: Results of each epoch that this call trained.
        held_out: frame-mAP at IoU 0.5 of the weights on the held-out part of each dataset, or on
            each dataset for validation; empty if there was none.
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
