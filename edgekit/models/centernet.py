"""Base class of every CenterNet: three heads over one feature map at stride 4.

Zhou, Wang and Krähenbühl, "Objects as Points", 2019 (arXiv 1904.07850), sections 3 and 5.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["CenterNet", "convolution", "upsampling"]

_PRIOR_LOGIT = -2.19
"""Initial heatmap logit: a probability of 0.1 everywhere (section 5 of the paper)."""


class CenterNet(nn.Module):
    """Adds the heads ``hm``, ``wh`` and ``reg`` to the features that a subclass computes.

    Args:
        width: Number of channels of the feature map.
        classes: Number of heatmap channels.
        head_conv: Width of the 3x3 convolution in each head; 0 for a single 1x1 convolution.
    """

    def __init__(self, width: int, classes: int, head_conv: int) -> None:
        super().__init__()
        self.hm = _head(width, classes, head_conv, _PRIOR_LOGIT)
        self.wh = _head(width, 2, head_conv)
        self.reg = _head(width, 2, head_conv)

    def features(self, x: Tensor) -> Tensor:
        """Returns the feature map (N, width, H/4, W/4) of the input (N, channels, H, W)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Returns heatmap logits, box sizes and centre offsets, in cells of the stride-4 grid.

        Args:
            x: Normalised input, (N, channels, H, W); H and W are multiples of 32.

        Returns:
            ``hm`` (N, classes, H/4, W/4), ``wh`` (width, height) and ``reg`` (x, y)
            (N, 2, H/4, W/4).
        """
        features = self.features(x)
        return {"hm": self.hm(features), "wh": self.wh(features), "reg": self.reg(features)}


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Returns a bias-free convolution, batch norm and ReLU; only the stride changes the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def upsampling(channels: int, factor: int) -> nn.ConvTranspose2d:
    """Returns a learnt upsampling per channel, initialised as bilinear interpolation."""
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias=False
    )
    taps = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    with torch.no_grad():
        layer.weight.copy_(torch.outer(taps, taps))
    return layer


def _head(width: int, outputs: int, head_conv: int, bias: float = 0.0) -> nn.Module:
    final = nn.Conv2d(head_conv or width, outputs, 1)
    nn.init.normal_(final.weight, std=0.001)
    nn.init.constant_(cast(Tensor, final.bias), bias)
    if head_conv == 0:
        return final
    return nn.Sequential(nn.Conv2d(width, head_conv, 3, padding=1), nn.ReLU(inplace=True), final)
