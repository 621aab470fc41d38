"""The losses of CenterNet (Zhou et al., arXiv 1904.07850, equations 1 to 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["SIZE_WEIGHT", "Batch", "at_actors", "centernet_loss"]

SIZE_WEIGHT = 0.1
"""Weight of the sizes among the losses."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples stacked into tensors; the fields are those of ``Sample``, with N in front."""

    input: Tensor
    heatmap: Tensor
    cells: Tensor
    sizes: Tensor
    offsets: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> Batch:
        """Returns the batch on another device, with its input in channels-last layout."""
        rest = (self.heatmap, self.cells, self.sizes, self.offsets, self.mask)
        return Batch(
            self.input.to(device, memory_format=torch.channels_last),
            *(tensor.to(device) for tensor in rest),
        )


def centernet_loss(
    outputs: dict[str, Tensor], batch: Batch, actors: Tensor | None = None
) -> dict[str, Tensor]:
    """Computes the losses: focal for the heatmap, L1 for sizes (weight 0.1) and offsets, their sum.

    Args:
        outputs: ``hm`` logits (N, C, h, w), ``wh`` and ``reg`` (N, 2, h, w).
        batch: Inputs and targets, as stacked samples.
        actors: Number of actors to divide by, if the batch is a part of a larger one; None for its
            own actors.

    Returns:
        ``total``, ``hm``, ``wh`` and ``reg``: scalars, averaged over the actors.
    """
    actors = (batch.mask.sum() if actors is None else actors).clamp(min=1)
    # float32 whatever the network ran in: the logarithms of small scores need its precision.
    focal = _focal(outputs["hm"].float(), batch.heatmap) / actors
    sizes = _l1(outputs["wh"].float(), batch.sizes, batch) / actors
    offsets = _l1(outputs["reg"].float(), batch.offsets, batch) / actors
    total = focal + SIZE_WEIGHT * sizes + offsets
    return {"total": total, "hm": focal, "wh": sizes, "reg": offsets}


def _focal(logits: Tensor, target: Tensor) -> Tensor:
    score = torch.sigmoid(logits)
    centre = target.eq(1).float()
    hit = functional.logsigmoid(logits) * (1 - score).square() * centre
    miss = functional.logsigmoid(-logits) * score.square() * (1 - target).pow(4) * (1 - centre)
    return -(hit + miss).sum()


def at_actors(outputs: Tensor, batch: Batch) -> Tensor:
    """Returns outputs (N, k, h, w) at the cells of a batch's actors, (N, actors, k)."""
    flat = outputs.flatten(2).transpose(1, 2)
    return flat.gather(1, batch.cells.unsqueeze(2).expand(-1, -1, flat.shape[2]))


def _l1(predicted: Tensor, target: Tensor, batch: Batch) -> Tensor:
    return ((at_actors(predicted, batch) - target).abs() * batch.mask.unsqueeze(2)).sum()
