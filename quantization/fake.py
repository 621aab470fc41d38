"""HOST. A network that rounds as its integer model will, and can be trained all the same.

Values are rounded on the way forward; on the way back the rounding is passed over, and what lies
outside a range is left out (Jacob et al., "Quantization and training of neural networks for
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
from edgekit.quantization.ranges import Histogram, choose_range

__all__ = ["settle", "with_roundings"]

_LARGEST = 255
_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d)
_ACTIVATIONS = (functional.relu, functional.relu6, torch.relu)
_SUMS = (operator.add, operator.iadd, torch.add, torch.cat)


def with_roundings(network: nn.Module) -> nn.Module:
    """A copy of a network with a rounding wherever a target's integer model has one.

    That is: at its input, after activations, sums and joints, and after convolutions that no
    activation follows; not at its outputs, nor within deformable convolutions. Weights are not
    rounded here: of that error, what ``edgekit.quantization.compensation`` leaves is small beside
    that of the activations.

    Args:
        network: With its norms folded; stays as it is.

    Returns:
        The copy, in evaluation mode, its parameters named as before. At first the roundings only
        look at what passes, and raise a CalibrationError where it is not finite; ``settle`` makes
        them round.

    Raises:
        ConversionError: What the network does depends on its input, so it cannot be followed.
    """
    network = copy.deepcopy(network).eval()
    try:
        graph = _Tracer().trace(network)
    except Exception as error:  # whatever a network does with what stands for a tensor
        raise ConversionError(
            f"The network cannot be followed to round what it computes: {error}",
            mend="Leave --finetune away.",
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
    """Ends the looking, and fixes the ranges of what ``with_roundings`` made.

    Args:
        network: Has been run on calibration data.
        method: By which ranges are chosen; for one that chooses none, by the extremes.
    """
    for module in network.modules():
        if isinstance(module, _Rounding):
            module.settle(method if method in METHODS else "minmax")


class _Rounding(nn.Module):
    """Rounds values to 256 levels between two ends; counts them as long as it has no ends."""

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
                mend="Check the checkpoint: a network that overflows in float cannot be quantized.",
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
    # What an activation follows is rounded together with it, and an output not at all.
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
    """What makes use of a result, past what does nothing."""
    for user in node.users:
        if _kind(user, made) == "nothing":
            yield from _users(user, made)
        else:
            yield user
