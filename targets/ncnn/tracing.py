"""HOST. Traces networks to TorchScript as pnnx reads it, with DCNv2 as torchvision's layer."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from edgekit.models.dcn import DeformConv2d

__all__ = ["trace"]

_SCHEMA = (
    "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, "
    "int stride_h, int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, "
    "int groups, int offset_groups, bool use_mask) -> Tensor"
)
_GEOMETRY = (1, 1, 1, 1, 1, 1, 1, 1, True)
"""Strides, pads, dilations, groups and mask of KORSAL's deformable convolutions."""


class _TorchvisionLayer(nn.Module):
    """Stands for torchvision's layer, by whose name pnnx recognizes the operator."""

    def __init__(self, layer: DeformConv2d) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Returns a tensor of the right shape, which is all that tracing needs."""
        compute = torch.ops.torchvision.deform_conv2d
        return cast(Tensor, compute(x, self.weight, offset, mask, self.bias, *_GEOMETRY))


_TorchvisionLayer.__module__ = "torchvision.ops.deform_conv"
_TorchvisionLayer.__name__ = _TorchvisionLayer.__qualname__ = "DeformConv2d"


class _Deformable(nn.Module):
    def __init__(self, layer: DeformConv2d) -> None:
        super().__init__()
        self.conv_offset_mask = layer.conv_offset_mask
        self.deform = _TorchvisionLayer(layer)

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv_offset_mask(x)
        offset, mask = made.split([made.shape[1] // 3 * 2, made.shape[1] // 3], 1)
        return cast(Tensor, self.deform(x, offset, mask.sigmoid()))


class _InOrder(nn.Module):
    """Returns the outputs as a tuple, since TorchScript files lose the names."""

    def __init__(self, network: nn.Module, outputs: Sequence[str]) -> None:
        super().__init__()
        self.network, self.outputs = network, tuple(outputs)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        found = self.network(*inputs)
        return tuple(found[name] for name in self.outputs)


def trace(network: nn.Module, example: Sequence[Tensor], path: Path) -> list[str]:
    """Writes a network as TorchScript.

    Args:
        network: Network that returns named tensors; it is not changed.
        example: Inputs, which fix shapes and types.
        path: File to write.

    Returns:
        The names of the outputs, in their order in the file.

    Raises:
        OSError: The file cannot be written.
    """
    with torch.no_grad():
        outputs = list(network(*example))
        prepared = copy.deepcopy(network)
        for name, layer in list(prepared.named_modules()):
            if isinstance(layer, DeformConv2d):
                prepared.set_submodule(name, _Deformable(layer))
        with _torchvision_operator():
            # Checking the trace would run it, and this operator computes nothing.
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                _InOrder(prepared, outputs).eval(), tuple(example), check_trace=False
            )
            content = traced.save_to_buffer()
    path.write_bytes(content)
    return outputs


@contextlib.contextmanager
def _torchvision_operator() -> Iterator[None]:
    """Defines torchvision's operator while tracing, unless torchvision itself has defined it.

    Afterwards the definition is gone, so that the program can still import torchvision.
    """
    if hasattr(torch.ops.torchvision, "deform_conv2d"):
        yield
        return
    with torch.library._scoped_library("torchvision", "FRAGMENT") as library:
        library.define(_SCHEMA)
        library.impl("deform_conv2d", _shape_of_deform_conv, "CPU")
        yield


def _shape_of_deform_conv(x: Tensor, weight: Tensor, *_: object) -> Tensor:
    return x.new_zeros(x.shape[0], weight.shape[0], *x.shape[2:])
