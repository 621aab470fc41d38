"""HOST. Network of one convolution and three heads, which every command handles in little time."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from edgekit.models.centernet import CenterNet

__all__ = ["TinyNetwork"]

_WIDTH = 16


class TinyNetwork(CenterNet):
    """CenterNet heads over the features of one convolution.

    Args:
        classes: Number of heatmap channels.
        channels: Number of input channels.
        head_conv: Width of the 3x3 convolution in each head; 0 for none.
    """

    def __init__(self, classes: int, channels: int, head_conv: int) -> None:
        super().__init__(_WIDTH, classes, head_conv)
        self.tiny = nn.Conv2d(channels, _WIDTH, 7, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(_WIDTH)
        # It detects something without being trained for it.
        for head, bias in ((self.hm, 1.0), (self.wh, 8.0)):
            final = cast(nn.Conv2d, list(head.modules())[-1])
            nn.init.constant_(cast(Tensor, final.bias), bias)

    def features(self, x: Tensor) -> Tensor:
        """Returns the feature map (N, 16, H/4, W/4) of the input (N, channels, H, W)."""
        return nn.functional.relu(self.norm(self.tiny(x)))
