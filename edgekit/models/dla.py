"""CenterNet on DLA-34, with deformable convolutions (``dla34``) or plain ones (``dlav0_34``).

The trunk follows Yu, Wang, Shelhamer and Darrell, "Deep Layer Aggregation", CVPR 2018 (arXiv
1707.06484), section 3. The two upsampling paths to stride 4 follow CenterNet (arXiv 1904.07850,
appendix A). Parameters have the published names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from edgekit.models.centernet import CenterNet, convolution, upsampling
from edgekit.models.dcn import DeformConv2d
from edgekit.models.resnet import BasicBlock

__all__ = ["DLA34", "DLAV034"]

_WIDTHS = (64, 128, 256, 512)
"""Channels of the four levels that enter the upsampling path, at strides 4 to 32."""


class DLA34(CenterNet):
    """DLA-34 with an upsampling path of deformable convolutions.

    Args:
        classes: Number of heatmap channels.
        channels: Number of input channels.
        head_conv: Width of the 3x3 convolution in each head; 0 for none.
    """

    def __init__(self, classes: int, channels: int, head_conv: int) -> None:
        super().__init__(_WIDTHS[0], classes, head_conv)
        self.base = _Trunk(channels)
        self.dla_up = _Pyramid(_DeformableMerge)
        self.ida_up = _DeformableMerge(_WIDTHS[0], _WIDTHS[1:3], (2, 4))

    def features(self, x: Tensor) -> Tensor:
        """Returns the feature map (N, 64, H/4, W/4)."""
        levels = self.dla_up(self.base(x))
        merged: Tensor = self.ida_up(levels[:3])[-1]
        return merged


class DLAV034(CenterNet):
    """DLA-34 with plain convolutions throughout.

    Args:
        classes: Number of heatmap channels.
        channels: Number of input channels.
        head_conv: Width of the 3x3 convolution in each head; 0 for none.
    """

    def __init__(self, classes: int, channels: int, head_conv: int) -> None:
        super().__init__(_WIDTHS[0], classes, head_conv)
        self.base = _Trunk(channels)
        self.dla_up = _Pyramid(_PlainMerge)

    def features(self, x: Tensor) -> Tensor:
        """Returns the feature map (N, 64, H/4, W/4)."""
        finest: Tensor = self.dla_up(self.base(x))[0]
        return finest


class _Trunk(nn.Module):
    """Turns (N, channels, H, W) into four levels at strides 4, 8, 16 and 32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.base_layer = convolution(channels, 16, 7)
        self.level0 = convolution(16, 16, 3)
        self.level1 = convolution(16, 32, 3, stride=2)
        self.level2 = _Tree(1, 32, 64, 2)
        self.level3 = _Tree(2, 64, 128, 2, level_root=True)
        self.level4 = _Tree(2, 128, 256, 2, level_root=True)
        self.level5 = _Tree(1, 256, 512, 2, level_root=True)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.level1(self.level0(self.base_layer(x)))
        levels = []
        for level in (self.level2, self.level3, self.level4, self.level5):
            x = level(x)
            levels.append(x)
        return levels


class _Tree(nn.Module):
    """Hierarchical aggregation: two subtrees, and a root that merges their outputs.

    Args:
        depth: 1 for two residual blocks under a root; more for two subtrees.
        inputs: Number of input channels.
        outputs: Number of output channels.
        stride: Stride of the whole tree.
        root_width: Number of channels that the root merges; 0 for the outputs of its two blocks
            alone.
        level_root: Whether the root also takes the tree's input.
    """

    def __init__(
        self,
        depth: int,
        inputs: int,
        outputs: int,
        stride: int = 1,
        root_width: int = 0,
        level_root: bool = False,
    ) -> None:
        super().__init__()
        root_width = (root_width or 2 * outputs) + (inputs if level_root else 0)
        self.depth = depth
        self.level_root = level_root
        self.downsample = nn.MaxPool2d(stride, stride) if stride > 1 else nn.Identity()
        self.tree1: nn.Module
        self.tree2: nn.Module
        if depth == 1:
            self.tree1 = BasicBlock(inputs, outputs, stride)
            self.tree2 = BasicBlock(outputs, outputs)
            self.root = _Root(root_width, outputs)
        else:
            self.tree1 = _Tree(depth - 1, inputs, outputs, stride)
            self.tree2 = _Tree(depth - 1, outputs, outputs, root_width=root_width + outputs)
        self.project = None
        if inputs != outputs:
            # Only trees of depth 1 use it, but published weights of deeper trees contain it too.
            self.project = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor, children: Sequence[Tensor] = ()) -> Tensor:
        bottom = self.downsample(x)
        if self.level_root:
            children = [*children, bottom]
        result: Tensor
        if self.depth == 1:
            first = self.tree1(x, self.project(bottom) if self.project else bottom)
            result = self.root(torch.cat([self.tree2(first), first, *children], 1))
        else:
            first = self.tree1(x)
            result = self.tree2(first, [*children, first])
        return result


class _Root(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        merged: Tensor = self.bn(self.conv(x))
        return merged.relu()


class _Pyramid(nn.Module):
    """Three merges, each one level finer than the last; every merge uses all coarser levels."""

    def __init__(self, merge: Callable[[int, Sequence[int], Sequence[int]], nn.Module]) -> None:
        super().__init__()
        self.steps = len(_WIDTHS) - 1
        for step in range(self.steps):
            finest, coarser = _WIDTHS[-step - 2 :][:2]
            count = step + 1
            self.add_module(f"ida_{step}", merge(finest, [coarser] * count, [2] * count))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Returns the finest merged map of each step, finest first, and the coarsest level."""
        levels = list(levels)
        merged = [levels[-1]]
        for step in range(self.steps):
            levels[-step - 2 :] = self.get_submodule(f"ida_{step}")(levels[-step - 2 :])
            merged.insert(0, levels[-1])
        return merged


class _DeformableMerge(nn.Module):
    """Upsamples each level to the size of the first one and adds it to the previous result.

    Args:
        width: Number of channels of the first level and of every result.
        inputs: Number of channels of each further level.
        factors: Ratio of each further level's stride to that of the first.
    """

    def __init__(self, width: int, inputs: Sequence[int], factors: Sequence[int]) -> None:
        super().__init__()
        for index, (channels, factor) in enumerate(zip(inputs, factors, strict=True), 1):
            self.add_module(f"proj_{index}", _DeformableLayer(channels, width))
            self.add_module(f"up_{index}", upsampling(width, factor))
            self.add_module(f"node_{index}", _DeformableLayer(width, width))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        merged = [levels[0]]
        for index, level in enumerate(levels[1:], 1):
            level = self.get_submodule(f"proj_{index}")(level)
            level = self.get_submodule(f"up_{index}")(level)
            merged.append(self.get_submodule(f"node_{index}")(level + merged[-1]))
        return merged


class _PlainMerge(nn.Module):
    """``_DeformableMerge`` with plain convolutions; it concatenates instead of adding."""

    def __init__(self, width: int, inputs: Sequence[int], factors: Sequence[int]) -> None:
        super().__init__()
        for index, (channels, factor) in enumerate(zip(inputs, factors, strict=True), 1):
            self.add_module(f"proj_{index}", convolution(channels, width, 1))
            self.add_module(f"up_{index}", upsampling(width, factor))
            self.add_module(f"node_{index}", convolution(2 * width, width, 3))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        merged = [levels[0]]
        for index, level in enumerate(levels[1:], 1):
            level = self.get_submodule(f"proj_{index}")(level)
            level = self.get_submodule(f"up_{index}")(level)
            both = torch.cat([merged[-1], level], 1)
            merged.append(self.get_submodule(f"node_{index}")(both))
        return merged


class _DeformableLayer(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = DeformConv2d(inputs, outputs)
        self.actf = nn.Sequential(nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.actf(self.conv(x))
        return result
