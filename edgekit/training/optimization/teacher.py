"""Distillation: a trained network gives soft targets to another one (Hinton, arXiv 1503.02531)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit._parameters import parameter
from edgekit.errors import CheckpointError
from edgekit.models.checkpoints import Checkpoint, load_checkpoint
from edgekit.runtime.kinds import input_channels
from edgekit.training.optimization.losses import SIZE_WEIGHT, Batch, at_actors
from edgekit.training.settings import Settings

__all__ = ["Teacher", "distillation_loss", "load_teacher"]


class Teacher(nn.Module):
    """A trained network whose outputs are in the order of another list of classes.

    Args:
        network: Network in evaluation mode.
        channels: Number of its input channels; it takes the first ones of an input.
        order: Its heatmap channel for each class.
    """

    _order: Tensor

    def __init__(self, network: nn.Module, channels: int, order: Sequence[int]) -> None:
        super().__init__()
        self._network = network.eval().requires_grad_(False)
        self._channels = channels
        self.register_buffer("_order", torch.tensor(order))

    @torch.no_grad()
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Returns ``hm``, ``wh`` and ``reg`` for inputs (N, channels, H, W)."""
        outputs = self._network(x[:, : self._channels])
        return {**outputs, "hm": outputs["hm"].index_select(1, self._order)}


def load_teacher(path: Path, classes: Sequence[str], settings: Settings) -> Teacher:
    """Returns the network of a checkpoint as a teacher.

    Args:
        path: Checkpoint. Classes are matched by name, if it names them.
        classes: Names of the classes to teach.
        settings: Settings of the run.

    Raises:
        CheckpointError: The checkpoint cannot be read, has other classes, or expects other inputs.
    """
    checkpoint = load_checkpoint(path)
    spec = checkpoint.spec
    channels = input_channels(settings.kind)
    expected: dict[str, object] = {"mean": list(settings.mean), "std": list(settings.std)}
    if spec.channels > channels:
        raise _other_inputs(path, f"{channels} input channels", f"{spec.channels}")
    if spec.channels > 3:
        expected["cascade"] = settings.kind
    for name, value in expected.items():
        found = checkpoint.stored(name)
        if found is not None and found != value:
            raise _other_inputs(path, f"{name} {value}", f"{found}")
    return Teacher(checkpoint.network, spec.channels, _order(path, checkpoint, classes))


def distillation_loss(
    outputs: dict[str, Tensor], taught: dict[str, Tensor], batch: Batch, actors: Tensor
) -> dict[str, Tensor]:
    """Computes how far outputs are from those of a teacher; all parts are 0 where they agree.

    Args:
        outputs: ``hm`` logits (N, C, h, w), ``wh`` and ``reg`` (N, 2, h, w).
        taught: The same outputs of the teacher.
        batch: Inputs and targets; boxes are compared where it has actors.
        actors: Number of actors to divide by.

    Returns:
        ``taught_hm``, the divergence of the heatmaps' probabilities, and ``taught_box``, the L1
        distance of sizes (weight 0.1) and offsets: scalars.
    """
    actors = actors.clamp(min=1)
    goal = torch.sigmoid(taught["hm"].float())
    found, least = (
        functional.binary_cross_entropy_with_logits(each["hm"].float(), goal, reduction="sum")
        for each in (outputs, taught)
    )
    boxes = {
        name: (at_actors(outputs[name].float(), batch) - at_actors(taught[name].float(), batch))
        for name in ("wh", "reg")
    }
    mask = batch.mask.unsqueeze(2)
    sizes, offsets = ((boxes[name].abs() * mask).sum() for name in ("wh", "reg"))
    return {
        "taught_hm": (found - least) / actors,
        "taught_box": (SIZE_WEIGHT * sizes + offsets) / actors,
    }


def _order(path: Path, checkpoint: Checkpoint, classes: Sequence[str]) -> list[int]:
    """Returns the teacher's heatmap channel for each class."""
    names = checkpoint.stored("classes")
    if not isinstance(names, list) or len(names) != checkpoint.spec.classes:
        if checkpoint.spec.classes == len(classes):
            return list(range(len(classes)))
        names = [f"class {number}" for number in range(checkpoint.spec.classes)]
    known = {str(name).lower(): number for number, name in enumerate(names)}
    missing = [name for name in classes if name.lower() not in known]
    if missing:
        raise CheckpointError(
            f"Expected a teacher that knows all {len(classes)} classes; {path} does not know "
            f"{', '.join(missing[:5])}.",
            hint="Train a teacher on these clips first.",
        )
    return [known[name.lower()] for name in classes]


def _other_inputs(path: Path, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        f"Expected a teacher that takes the inputs of this run, with {expected}; {path} has "
        f"{found}.",
        hint=f"Choose the teacher's own {parameter('cascade')}, or another teacher.",
    )
