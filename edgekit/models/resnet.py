"""CenterNet on ResNet-18, -50 and -101, upsampled with plain or deformable convolutions.

The trunk follows He, Zhang, Ren and Sun, "Deep Residual Learning", CVPR 2016 (arXiv 1512.03385).
The transposed convolutions follow Xiao, Wu and Wei, "Simple Baselines", ECCV 2018 (arXiv
1804.06208). In the networks called ``resdcn``, CenterNet puts a DCNv2 before each of them.
Parameters have the published names.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from edgekit.models.centernet import CenterNet
from edgekit.models.dcn import DeformConv2d

__all__ = ["BasicBlock", "ResNet"]

_REPEATS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_PLAIN_WIDTHS = (256, 256, 256)
_DEFORMABLE_WIDTHS = (256, 128, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut.

    Args:
        inputs: Number of input channels.
        width: Number of output channels.
        stride: Stride of the first convolution.
        downsample: Module that gives the input the shape of the output, if the two differ.
    """

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Convolves (N, inputs, H, W); ``shortcut`` replaces the block's own shortcut."""
        if shortcut is None:
            shortcut = self.downsample(x) if self.downsample else x
        hidden = self.bn1(self.conv1(x)).relu()
        result: Tensor = self.bn2(self.conv2(hidden)) + shortcut
        return result.relu()


class ResNet(CenterNet):
    """A residual network down to stride 32 and three transposed convolutions up to stride 4.

    Args:
        classes: Number of heatmap channels.
        channels: Number of input channels.
        head_conv: Width of the 3x3 convolution in each head; 0 for none.
        depth: Depth of the network: 18, 50 or 101.
        deformable: Whether a deformable convolution precedes each transposed convolution.
    """

    def __init__(
        self, classes: int, channels: int, head_conv: int, *, depth: int, deformable: bool
    ) -> None:
        widths = _DEFORMABLE_WIDTHS if deformable else _PLAIN_WIDTHS
        super().__init__(widths[-1], classes, head_conv)
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        block = BasicBlock if depth == 18 else _Bottleneck
        inputs = 64
        for index, repeats in enumerate(_REPEATS[depth]):
            stride = 1 if index == 0 else 2
            self.add_module(
                f"layer{index + 1}", _stage(block, inputs, 64 << index, repeats, stride)
            )
            inputs = (64 << index) * block.expansion
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.deconv_layers = _way_up(inputs, widths, deformable)

    def features(self, x: Tensor) -> Tensor:
        """Returns the feature map (N, 256, H/4, W/4), or (N, 64, H/4, W/4) if deformable."""
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for index in range(1, 5):
            x = self.get_submodule(f"layer{index}")(x)
        raised: Tensor = self.deconv_layers(x)
        return raised


class _Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 convolutions, with a shortcut; see ``BasicBlock``."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn1(self.conv1(x)).relu()
        hidden = self.bn2(self.conv2(hidden)).relu()
        shortcut = self.downsample(x) if self.downsample else x
        result: Tensor = self.bn3(self.conv3(hidden)) + shortcut
        return result.relu()


def _stage(
    block: type[BasicBlock] | type[_Bottleneck], inputs: int, width: int, repeats: int, stride: int
) -> nn.Sequential:
    outputs = width * block.expansion
    downsample = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )
    first = block(inputs, width, stride, downsample)
    return nn.Sequential(first, *(block(outputs, width) for _ in range(repeats - 1)))


def _way_up(inputs: int, widths: Sequence[int], deformable: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        if deformable:
            layers += [DeformConv2d(inputs, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            inputs = width
        raising = nn.ConvTranspose2d(inputs, width, 4, 2, 1, bias=False)
        nn.init.normal_(raising.weight, std=0.001)
        layers += [raising, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        inputs = width
    return nn.Sequential(*layers)
