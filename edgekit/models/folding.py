"""Folds batch norms into the convolutions before them, for inference."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any, cast

import torch
from torch import Tensor, nn

from edgekit.models.dcn import DeformConv2d

__all__ = ["fold_batch_norms"]


def fold_batch_norms(network: nn.Module, example: Tensor) -> nn.Module:
    """Returns a copy of a network with batch norms folded into the convolutions before them.

    One run of the network shows which norm follows which convolution, so any network definition
    works. A norm is kept if it follows another layer, or if it or its convolution is used more than
    once.

    Args:
        network: Network in evaluation mode; it is not changed.
        example: Input for the run.

    Returns:
        A network with the same results, except for rounding.
    """
    folded = copy.deepcopy(network).eval()
    for layer, norm in _pairs(folded, example):
        _fold(layer, norm)
        _replace(folded, norm, nn.Identity())
    return folded


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    made: list[tuple[Tensor, nn.Module]] = []  # keeps the tensors alive, so that ids stay unique
    found: list[tuple[nn.Module, nn.BatchNorm2d]] = []
    calls: Counter[nn.Module] = Counter()

    def watch(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        calls[module] += 1
        if isinstance(module, nn.BatchNorm2d):
            found.extend((layer, module) for tensor, layer in made if tensor is inputs[0])
        else:
            made.append((output, module))

    kinds = (nn.Conv2d, nn.ConvTranspose2d, DeformConv2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(watch) for m in network.modules() if isinstance(m, kinds)]
    try:
        with torch.no_grad():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [(layer, norm) for layer, norm in found if calls[layer] == calls[norm] == 1]


def _fold(layer: nn.Module, norm: nn.BatchNorm2d) -> None:
    """Folds in float64, so that a small variance does not cost the weights precision."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = (variance.double() + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    weight = cast(Tensor, layer.weight)
    bias = cast("Tensor | None", layer.bias)
    start = torch.zeros_like(mean, dtype=torch.float64) if bias is None else bias.detach().double()
    shifted = (start - mean.double()) * scale
    if norm.affine:
        shifted = shifted + norm.bias.detach().double()
    if isinstance(layer, nn.ConvTranspose2d):
        # The weight is (inputs, outputs per group, ...): outputs of one group are adjacent.
        inputs, outputs = weight.shape[:2]
        per_group = inputs // layer.groups
        by_input = scale.view(layer.groups, 1, outputs).expand(-1, per_group, -1)
        factor = by_input.reshape(inputs, outputs, 1, 1)
    else:
        factor = scale.view(-1, 1, 1, 1)
    layer.weight = nn.Parameter((weight.detach().double() * factor).to(weight.dtype))
    layer.bias = nn.Parameter(shifted.to(weight.dtype))


def _replace(network: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)
