"""Deformable convolution (DCNv2), and the operators that replace it on each target.

Zhu, Hu, Lin and Dai, "Deformable ConvNets v2", CVPR 2019 (arXiv 1811.11168), section 3.2: each tap
of a 3x3 kernel reads the input at a learnt offset, by bilinear interpolation, and multiplies the
value by a learnt mask. Inference runtimes support different operators, so the same sum is written
in three ways:

    deform_conv   one operator of its own, ``DeformConv`` in ONNX (opset 19 and later)
    grid_sample   one GridSample for all nine taps, the mask, a 1x1 convolution
    gather        four row gathers on NHWC, the bilinear weights, one matrix product
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.errors import UsageError
from edgekit.models.lowerings import LOWERINGS

__all__ = ["LOWERINGS", "DeformConv2d", "onnx_translations", "set_lowering"]

_TAPS = 9


class DeformConv2d(nn.Module):
    """DCNv2 with a 3x3 kernel, stride 1 and zero padding 1.

    ``conv_offset_mask`` gives 27 channels: the offset (dy, dx) of each tap in pixels, taps in
    row-major order, then nine mask logits. Of the four pixels around a sample, those outside the
    input count as zero.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.

    Attributes:
        lowering: Name in ``LOWERINGS`` of the computation that ``forward`` uses; all give equal
            results.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.conv_offset_mask = nn.Conv2d(inputs, 3 * _TAPS, 3, padding=1)
        self.lowering = "deform_conv"
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        # Zero offsets, and masks of 0.5: training starts at a plain convolution.
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(cast(Tensor, self.conv_offset_mask.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Convolves (N, inputs, H, W) to (N, outputs, H, W)."""
        offset, mask = self.conv_offset_mask(x).split([2 * _TAPS, _TAPS], 1)
        compute = _IMPLEMENTATIONS[self.lowering]
        return compute(x, self.weight, self.bias, offset, mask.sigmoid())

    def extra_repr(self) -> str:
        """Returns sizes and lowering, as shown by ``print(network)``."""
        outputs, inputs = self.weight.shape[:2]
        return f"{inputs}, {outputs}, lowering={self.lowering!r}"


def set_lowering(network: nn.Module, name: str) -> int:
    """Switches every deformable convolution of ``network`` to one lowering.

    Args:
        network: Any module; one without deformable convolutions is left unchanged.
        name: Name of the lowering, one of ``LOWERINGS``.

    Returns:
        Number of layers that were switched.

    Raises:
        UsageError: No lowering has that name.
    """
    if name not in LOWERINGS:
        raise UsageError(
            f"Expected the DCN lowering to be one of {', '.join(LOWERINGS)}; found {name!r}."
        )
    layers = [layer for layer in network.modules() if isinstance(layer, DeformConv2d)]
    for layer in layers:
        layer.lowering = name
    return len(layers)


def onnx_translations() -> dict[Callable[..., object], Callable[..., object]]:
    """Returns the ``custom_translation_table`` for ``torch.onnx.export(..., dynamo=True)``.

    It exports the lowering ``deform_conv`` as the ONNX operator DeformConv of opset 19 and later.
    The other lowerings need no translation.
    """
    from onnxscript import opset20 as op

    def deform_conv(x: Any, weight: Any, bias: Any, offset: Any, mask: Any) -> Any:
        return op.DeformConv(x, weight, offset, bias, mask, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    return {torch.ops.edgekit.deform_conv2d.default: deform_conv}


def _gather(x: Tensor, weight: Tensor, bias: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    y, x_place = (place.permute(0, 2, 3, 1) for place in _places(offset))
    mask = mask.permute(0, 2, 3, 1)
    # A zero border: samples outside the input, at any distance, are clamped to it and read zero.
    rows = functional.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).reshape(-1, channels)
    picture = torch.arange(batch, device=x.device).view(-1, 1, 1, 1) * (height + 2)
    top, left = y.floor(), x_place.floor()
    lower, right = y - top, x_place - left
    corners = []
    for down, vertical in ((0, (1 - lower) * mask), (1, lower * mask)):
        line = (picture + (top + (down + 1)).clamp(0, height + 1).long()) * (width + 2)
        for across, horizontal in ((0, 1 - right), (1, right)):
            index = line + (left + (across + 1)).clamp(0, width + 1).long()
            share = (vertical * horizontal).reshape(-1, 1)
            corners.append(functional.embedding(index.reshape(-1), rows) * share)
    columns = corners[0] + corners[1] + corners[2] + corners[3]
    matrix = weight.permute(2, 3, 1, 0).reshape(_TAPS * channels, -1)
    result = columns.reshape(batch, height * width, _TAPS * channels) @ matrix + bias
    return result.permute(0, 2, 1).reshape(batch, -1, height, width)


def _grid_sample(x: Tensor, weight: Tensor, bias: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    y, x_place = _places(offset)
    grid = torch.stack([(2 * x_place + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    # The taps are stacked vertically into one tall picture: one operator instead of nine.
    samples = functional.grid_sample(
        x,
        grid.reshape(batch, _TAPS * height, width, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
    samples = samples.reshape(batch, channels, _TAPS, height, width) * mask.unsqueeze(1)
    return functional.conv2d(
        samples.reshape(batch, channels * _TAPS, height, width),
        weight.reshape(-1, channels * _TAPS, 1, 1),
        bias,
    )


def _places(offset: Tensor) -> tuple[Tensor, Tensor]:
    """Returns row and column, in pixels, that each tap reads, both (N, 9, H, W)."""
    batch, _, height, width = offset.shape
    delta = offset.reshape(batch, _TAPS, 2, height, width)
    reach = torch.arange(-1, 2, device=offset.device, dtype=offset.dtype)
    rows = torch.arange(height, device=offset.device, dtype=offset.dtype).view(-1, 1)
    columns = torch.arange(width, device=offset.device, dtype=offset.dtype)
    y = delta[:, :, 0] + (reach.repeat_interleave(3).view(-1, 1, 1) + rows)
    x = delta[:, :, 1] + (reach.repeat(3).view(-1, 1, 1) + columns)
    return y, x


@torch.library.custom_op("edgekit::deform_conv2d", mutates_args=())
def _deform_conv(x: Tensor, weight: Tensor, bias: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    # If training diverges, the loss must become NaN; an index error would hide the cause.
    return _gather(x, weight, bias, offset.nan_to_num(), mask).contiguous()


@_deform_conv.register_fake
def _deform_conv_shape(x: Tensor, weight: Tensor, *_: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], x.shape[2], x.shape[3])


def _save_inputs(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    del output
    ctx.save_for_backward(*inputs)


def _deform_conv_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    # The columns, nine times the input, are recomputed: keeping them would take most of the memory.
    wanted = ctx.needs_input_grad
    inputs = [
        tensor.detach().requires_grad_(need)
        for tensor, need in zip(ctx.saved_tensors, wanted, strict=True)
    ]
    x, weight, bias, offset, mask = inputs
    with torch.enable_grad():
        output = _gather(x, weight, bias, offset.nan_to_num(), mask)
    found = iter(torch.autograd.grad(output, [t for t in inputs if t.requires_grad], gradient))
    return tuple(next(found) if need else None for need in wanted)


_deform_conv.register_autograd(_deform_conv_backward, setup_context=_save_inputs)
for _device in ("cpu", "cuda"):
    # Coordinates need full float32 precision even in mixed precision.
    _deform_conv.register_autocast(_device, torch.float32)

_IMPLEMENTATIONS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "deform_conv": _deform_conv,
    "grid_sample": _grid_sample,
    "gather": _gather,
}
