"""HOST. Rewrites a network so that litert-torch converts it efficiently."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Named", "Upsampling", "prepared"]


class Named(nn.Module):
    """A network that takes keyword arguments, whose names become those of the model's inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Returns the outputs for the inputs, taken in the order in which they are named."""
        outputs: dict[str, Tensor] = self.network(*inputs.values())
        return outputs


class Upsampling(nn.Module):
    """A depthwise transposed convolution, computed by convolutions of 2x2.

    litert-torch splits such a layer into one TRANSPOSE_CONV per channel. Each pixel becomes stride²
    output positions, and each position sees at most 2x2 pixels. Concatenated in NHWC, the positions
    are already in their order.

    Args:
        layer: Layer to replace, for which ``fits`` is true.
    """

    def __init__(self, layer: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.factor = layer.stride[0]
        weight = layer.weight.detach()
        self.bias = None if layer.bias is None else layer.bias.detach()
        for y in range(self.factor):
            for x in range(self.factor):
                (_, rows), (_, columns) = self._reach(y), self._reach(x)
                part = weight[:, :, rows][:, :, :, columns].contiguous()
                self.register_buffer(f"weight_{y}_{x}", part)

    @staticmethod
    def fits(layer: nn.Module) -> bool:
        """Returns whether a layer is depthwise, with kernel 2 x stride and padding stride / 2."""
        return (
            isinstance(layer, nn.ConvTranspose2d)
            and layer.groups == layer.in_channels == layer.out_channels
            and layer.stride[0] == layer.stride[1]
            and layer.kernel_size == tuple(2 * stride for stride in layer.stride)
            and tuple(2 * int(side) for side in layer.padding) == layer.stride
            and tuple(layer.output_padding) == (0, 0)
            and tuple(layer.dilation) == (1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Upsamples (N, C, H, W) to (N, C, stride H, stride W)."""
        batch, channels, height, width = x.shape
        factor = self.factor
        padded = functional.pad(x, (1, 1, 1, 1))
        lines = []
        for row in range(factor):
            top, _ = self._reach(row)
            places = []
            for column in range(factor):
                left, _ = self._reach(column)
                place = functional.conv2d(
                    padded[:, :, top : top + height + 1, left : left + width + 1],
                    self.get_buffer(f"weight_{row}_{column}"),
                    self.bias,
                    groups=channels,
                )
                places.append(place.permute(0, 2, 3, 1))
            lines.append(torch.cat(places, 3).reshape(batch, height, 1, -1))
        whole = torch.cat(lines, 2).reshape(batch, factor * height, factor * width, channels)
        return whole.permute(0, 3, 1, 2)

    def _reach(self, place: int) -> tuple[int, list[int]]:
        """Returns, along one side, the first padded pixel that a position sees, and its taps."""
        start, tap = divmod(place + self.factor // 2, self.factor)
        return start, [tap + self.factor, tap]


def prepared(network: nn.Module) -> nn.Module:
    """Returns a copy of ``network`` whose depthwise transposed convolutions are ``Upsampling``."""
    network = copy.deepcopy(network)
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.ConvTranspose2d) and Upsampling.fits(layer):
            network.set_submodule(name, Upsampling(layer))
    return network
