"""Folds batch norms into the convolutions before them, for inference."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from edgekit.models.dcn import DeformConv2d

__all__ = ["fold_batch_norms"]


def fold_batch_norms(network: nn.Module, example: Tensor) -> nn.Module:
    """Returns a copy of a network with batch norms folded into the convolutions before them.

    One run of the network shows which norm follows which convolution, so any network definition
    works. A norm is kept if it follows another layer, if it or its convolution is used more than
    once, or if anything else reads what the convolution gives.

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


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches which norm follows which convolution in a run, and what else reads its output."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[tuple[nn.Module, nn.BatchNorm2d]] = []
        self.calls: Counter[nn.Module] = Counter()  # and other uses of what a layer gives
        self._made: dict[int, tuple[Tensor, nn.Module]] = {}  # alive, so that ids stay unique
        self._norms = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if not self._norms:
            self.read((args, kwargs))
        return func(*args, **(kwargs or {}))

    def read(self, values: Any) -> None:
        """Counts a use of the convolution of each tensor in nested values."""
        for value in tree_leaves(values):
            if id(value) in self._made:
                self.calls[self._made[id(value)][1]] += 1

    def begun(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Takes the beginning of a layer."""
        self.calls[module] += 1
        if isinstance(module, nn.BatchNorm2d):
            self._norms += 1
            if inputs and id(inputs[0]) in self._made:
                self.found.append((self._made[id(inputs[0])][1], module))

    def ended(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Takes the end of a layer."""
        if isinstance(module, nn.BatchNorm2d):
            self._norms -= 1
        else:
            self._made[id(output)] = (output, module)


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    watch = _Watch()
    kinds = (nn.Conv2d, nn.ConvTranspose2d, DeformConv2d, nn.BatchNorm2d)
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    hooks = [layer.register_forward_pre_hook(watch.begun) for layer in layers]
    hooks += [layer.register_forward_hook(watch.ended) for layer in layers]
    try:
        with torch.no_grad(), watch:
            watch.read(network(example))
    finally:
        for hook in hooks:
            hook.remove()
    norms = Counter(layer for layer, _ in watch.found)
    return [
        (layer, norm)
        for layer, norm in watch.found
        if watch.calls[layer] == watch.calls[norm] == norms[layer] == 1
    ]


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
