"""HOST. A network in the shape in which litert-torch writes it well."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Named", "Upsampling", "prepared"]


class Named(nn.Module):
    """A network that takes keyword arguments: their names become those of the model's inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """What the network gives for the inputs in the order in which they are named."""
        outputs: dict[str, Tensor] = self.network(*inputs.values())
        return outputs


class Upsampling(nn.Module):
    """A transposed convolution of each channel by itself, as convolutions of 2x2.

    litert-torch cuts such a layer into one TRANSPOSE_CONV a channel. Each of the stride² places
    that a pixel becomes sees no more than 2x2 pixels; laid side by side in NHWC, the places are
    in their order already.

    Args:
        layer: One that ``fits``.
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
        """Whether a layer is one: depthwise, its kernel twice its stride, padded by half of it."""
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
        """(N, C, H, W) to (N, C, stride H, stride W)."""
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
        """Along one side: the first padded pixel that a place sees, and the taps it sees by."""
        start, tap = divmod(place + self.factor // 2, self.factor)
        return start, [tap + self.factor, tap]


def prepared(network: nn.Module) -> nn.Module:
    """A copy of ``network`` whose depthwise transposed convolutions are ``Upsampling``."""
    network = copy.deepcopy(network)
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.ConvTranspose2d) and Upsampling.fits(layer):
            network.set_submodule(name, Upsampling(layer))
    return network
