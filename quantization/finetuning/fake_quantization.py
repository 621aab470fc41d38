"""HOST. Makes networks that round like their INT8 model but can still be trained.

Values are rounded in the forward pass. The backward pass ignores the rounding, and drops gradients
of values outside the range (Jacob et al., "Quantization and training of neural networks for
efficient integer-arithmetic-only inference", CVPR 2018, section 3).
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from edgekit.errors import CalibrationError, ConversionError
from edgekit.models.dcn import DeformConv2d
from edgekit.quantization.base import METHODS
from edgekit.quantization.rounding.ranges import Histogram, choose_range

__all__ = ["settle", "with_roundings"]

_LARGEST = 255
_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d)
_ACTIVATIONS = (functional.relu, functional.relu6, torch.relu)
_SUMS = (operator.add, operator.iadd, torch.add, torch.cat)


def with_roundings(network: nn.Module) -> nn.Module:
    """Returns a copy of a network with a rounding step wherever a target's INT8 model has one.

    These places are the input, activations, sums and concatenations, and convolutions without a
    following activation. Outputs and the inside of deformable convolutions are not rounded. Weights
    are not rounded either: after ``edgekit.quantization.rounding.compensation`` their error is
    small beside that of the activations.

    Args:
        network: Network with folded norms; it is not changed.

    Returns:
        The copy, in evaluation mode, with unchanged parameter names. At first its rounding steps
        only record values, and raise a CalibrationError if one is not finite. ``settle`` makes them
        round.

    Raises:
        ConversionError: The network's operations depend on its input, so it cannot be traced.
    """
    network = copy.deepcopy(network).eval()
    try:
        graph = _Tracer().trace(network)
    except Exception as error:  # networks fail in many ways when they are traced
        raise ConversionError(
            f"The network cannot be followed to round what it computes: {error}",
            hint="Leave --finetune away.",
        ) from error
    made = fx.GraphModule(network, graph)
    for number, node in enumerate([node for node in graph.nodes if _is_rounded(node, made)]):
        name = f"rounding_{number}"
        made.add_submodule(name, _Rounding(node.name))
        with graph.inserting_after(node):
            rounding = graph.call_module(name, (node,))
        node.replace_all_uses_with(rounding, lambda user, own=rounding: user is not own)
    made.recompile()
    return made.eval()


def settle(network: nn.Module, method: str) -> None:
    """Ends the recording, and fixes the ranges in a network from ``with_roundings``.

    Args:
        network: Network that has been run on calibration data.
        method: Method for choosing ranges; one that chooses none uses the extremes.
    """
    for module in network.modules():
        if isinstance(module, _Rounding):
            module.settle(method if method in METHODS else "minmax")


class _Rounding(nn.Module):
    """Rounds values to 256 levels between two limits; records values until the limits are set."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self._layer = layer
        self._seen: Histogram | None = Histogram()
        self._scale, self._zero = 1.0, 0

    def forward(self, x: Tensor) -> Tensor:
        if self._seen is None:
            return torch.fake_quantize_per_tensor_affine(x, self._scale, self._zero, 0, _LARGEST)
        try:
            self._seen.add(x.detach().numpy())
        except FloatingPointError as error:
            raise CalibrationError(
                f"{self._layer} of the network gives {error} on the calibration data.",
                hint="Check the checkpoint: a network that overflows in float cannot be quantized.",
            ) from error
        return x

    def settle(self, method: str) -> None:
        assert self._seen is not None
        low, high = choose_range(self._seen, method)
        self._scale = max(high - low, 1e-12) / _LARGEST
        self._zero = round(-low / self._scale)
        self._seen = None


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, DeformConv2d) or super().is_leaf_module(m, module_qualified_name)


def _is_rounded(node: fx.Node, made: fx.GraphModule) -> bool:
    if node.op == "placeholder":
        return True
    kind = _kind(node, made)
    if kind == "activation":
        return True
    # A value before an activation is rounded together with it, and an output is not rounded.
    return kind in ("weighted", "sum") and any(
        user.op != "output" and _kind(user, made) != "activation" for user in _users(node, made)
    )


def _kind(node: fx.Node, made: fx.GraphModule) -> str:
    what: Any = node.target
    if node.op == "call_module":
        what = made.get_submodule(str(node.target))
    if isinstance(what, nn.Identity):
        return "nothing"
    if isinstance(what, _WEIGHTED):
        return "weighted"
    if isinstance(what, nn.ReLU | nn.ReLU6) or what in _ACTIVATIONS:
        return "activation"
    return "sum" if what in _SUMS else "other"


def _users(node: fx.Node, made: fx.GraphModule) -> Iterator[fx.Node]:
    """Yields the nodes that use a result, looking through nodes that change nothing."""
    for user in node.users:
        if _kind(user, made) == "nothing":
            yield from _users(user, made)
        else:
            yield user
