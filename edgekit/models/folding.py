"""Batch norms folded into the convolutions before them, for inference, and back."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any, cast

import torch
from torch import Tensor, nn

from edgekit.models.dcn import DeformConv2d

__all__ = ["fold_batch_norms", "unfold_batch_norms"]


def fold_batch_norms(network: nn.Module, example: Tensor) -> nn.Module:
    """A copy of a network in which convolutions have taken over the batch norms after them.

    Which norm follows which convolution is seen by running the network once, so it holds for any
    way of writing a network down. A norm stays where it is if it follows something else, or if
    it or its convolution is used more than once.

    Args:
        network: In evaluation mode; stays as it is.
        example: An input.

    Returns:
        A network with the same results, to rounding.
    """
    folded = copy.deepcopy(network).eval()
    for layer, norm in _pairs(folded, example):
        _fold(layer, norm)
        _replace(folded, norm, nn.Identity())
    return folded


def unfold_batch_norms(network: nn.Module, folded: nn.Module, example: Tensor) -> nn.Module:
    """A copy of a network with the weights of a folded copy of it.

    Its norms are all there, as a checkpoint has them; those that were folded do nothing but add
    what became the bias of their convolution.

    Args:
        network: In evaluation mode; stays as it is.
        folded: What ``fold_batch_norms`` made of it, with any weights.
        example: An input.

    Returns:
        A network with the same results as ``folded``, to rounding.
    """
    made = copy.deepcopy(network).eval()
    names = {module: name for name, module in made.named_modules()}
    given = folded.state_dict()
    own = made.state_dict()
    own |= {name: tensor for name, tensor in given.items() if name in own}
    for layer, norm in _pairs(made, example):
        bias, place = given[f"{names[layer]}.bias"], names[norm]
        if layer.bias is not None:
            own[f"{names[layer]}.bias"] = torch.zeros_like(bias)
        own[f"{place}.running_mean"] = -bias
        own[f"{place}.running_var"] = torch.full_like(bias, 1 - norm.eps)
        if norm.affine:
            own[f"{place}.weight"] = torch.ones_like(bias)
            own[f"{place}.bias"] = torch.zeros_like(bias)
    made.load_state_dict(own)
    return made


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    made: list[tuple[Tensor, nn.Module]] = []  # holds the tensors, so that no id is used twice
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
    """In float64: a small variance must not cost the weights their last digits."""
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
        # Its weight is (inputs, outputs per group, ...): outputs of one group lie side by side.
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
