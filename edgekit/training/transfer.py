"""Copies a checkpoint's weights into a network whose input channels and classes may differ.

Weights are matched by name and shape. The first convolution and the last one of the heatmap are
converted, so that neither colour kernels nor known classes are lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekit.runtime.kinds import input_channels, similarity_scale

__all__ = ["Transfer", "transfer"]

_COLOURS = 3
_HEATMAP = ("hm.weight", "hm.bias", "hm.2.weight", "hm.2.bias")
"""Weights of the last heatmap convolution, whose first axis is the class."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Weights that a network takes from a checkpoint.

    Attributes:
        state: Tensors for the network, by name; all have the shapes of the network.
        share: Share of the checkpoint's parameters that is in ``state``, in [0, 1].
        fresh: Layers of the network whose weights stay fresh, in whole or in part, in its order;
            each with a reason in brackets where one is known.
        left: Layers of the checkpoint of which nothing was taken, in its order.
    """

    state: dict[str, Tensor]
    share: float
    fresh: tuple[str, ...]
    left: tuple[str, ...]


def transfer(
    network: nn.Module,
    source: nn.Module,
    stem: str,
    *,
    kinds: tuple[str, str],
    classes: Sequence[str] = (),
    source_classes: Sequence[str] = (),
) -> Transfer:
    """Returns what ``network`` takes from ``source``; neither is changed.

    Three input channels become six as in the ImageNet start of ``lite0``: the colour kernels stay,
    and each motion channel starts as their mean applied to (similarity - 1), so that a still scene
    adds nothing. Six become three by the inverse. Between ``ssim`` and ``dssim``, the motion
    kernels are scaled, so that each map has the effect that the other had.

    Args:
        network: Network to train, with fresh weights.
        source: Network with the weights of the checkpoint.
        stem: Name of the weight of the network's first convolution.
        kinds: Kinds of the network's cascade and of the checkpoint's.
        classes: Names of the network's classes; empty if they are unknown.
        source_classes: Names of the checkpoint's classes; empty if they are unknown.
    """
    own, given = network.state_dict(), dict(source.state_dict())
    parameters = {name: value.numel() for name, value in source.named_parameters()}
    whole = sum(parameters.values())
    if stem in given and stem in own:
        _convert_stem(network, given, stem, kinds)
    reasons: dict[str, str] = {}
    if classes and source_classes:
        _match_classes(own, given, parameters, reasons, classes, source_classes)
    state = {
        name: value
        for name, value in given.items()
        if name in own and own[name].shape == value.shape
    }
    kept = sum(count for name, count in parameters.items() if name in state)
    trained = {name for name, _ in network.named_parameters()}
    fresh = dict.fromkeys(_layer(name) for name in own if name in trained and name not in state)
    fresh |= dict.fromkeys(_layer(name) for name in reasons)
    left = dict.fromkeys(_layer(name) for name in parameters if name not in state)
    notes = {_layer(name): f" ({why})" for name, why in reasons.items()}
    return Transfer(
        state,
        kept / max(1, whole),
        tuple(layer + notes.get(layer, "") for layer in fresh),
        tuple(left),
    )


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _convert_stem(
    network: nn.Module, given: dict[str, Tensor], stem: str, kinds: tuple[str, str]
) -> None:
    """Gives the first convolution the input channels of another kind of cascade.

    The convolution has no bias: the constant that the motion channels add or no longer add goes
    into the running mean of the norm behind it.
    """
    weight = given[stem]
    if weight.shape[1] != input_channels(kinds[1]):
        return
    (factor, offset), (old_factor, old_offset) = map(similarity_scale, kinds)
    colours, motion = weight[:, :_COLOURS], weight[:, _COLOURS:]
    # The kernel for similarity, which the maps of both kinds are a scale of.
    if old_factor:
        kernel = motion / old_factor
    else:
        kernel = colours.mean(1, keepdim=True).expand(-1, _COLOURS, -1, -1)
    constant = (offset - old_offset) * kernel.sum((1, 2, 3))
    given[stem] = torch.cat([colours, factor * kernel], 1) if factor else colours
    mean = _mean_behind(network, stem)
    if mean in given and given[mean].shape == constant.shape:
        given[mean] = given[mean] - constant


def _mean_behind(network: nn.Module, stem: str) -> str:
    """Returns the name of the running mean of the norm behind a convolution; empty without one."""
    modules = list(network.named_modules())
    names = [name for name, _ in modules]
    after = modules[names.index(_layer(stem)) + 1 :][:1]
    if after and isinstance(after[0][1], nn.BatchNorm2d):
        return f"{after[0][0]}.running_mean"
    return ""


def _match_classes(
    own: Mapping[str, Tensor],
    given: dict[str, Tensor],
    parameters: dict[str, int],
    reasons: dict[str, str],
    classes: Sequence[str],
    source_classes: Sequence[str],
) -> None:
    """Puts each known class where the network has it; new classes keep the network's fresh rows."""
    there = {name.casefold(): row for row, name in enumerate(source_classes)}
    rows = [(row, there.get(name.casefold())) for row, name in enumerate(classes)]
    known = [(row, source) for row, source in rows if source is not None]
    new = [classes[row] for row, source in rows if source is None]
    for name in _HEATMAP:
        if name not in own or name not in given:
            continue
        fresh, old = own[name], given.pop(name)
        fits = fresh.shape[1:] == old.shape[1:] and len(old) == len(source_classes)
        if not known or not fits:
            continue
        value = fresh.clone()
        for row, source in known:
            value[row] = old[source]
        given[name] = value
        parameters[name] = len({source for _, source in known}) * old[0].numel()
        if new:
            reasons[name] = f"new classes: {', '.join(new)}"
