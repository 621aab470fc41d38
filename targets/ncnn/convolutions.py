"""DEVICE. Rules of ncnn's convolutions: sizes of their outputs and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgekit.targets.ncnn.param import NcnnLayer
from edgekit.targets.ncnn.sizes import (
    MOST_KERNEL,
    MOST_SIDE,
    Blob,
    RuleResult,
    WeightArray,
    fixed,
    given,
    within,
)

__all__ = [
    "INTEGER",
    "INTEGER_RESULT",
    "WITHOUT_WINOGRAD",
    "Window",
    "convolution",
    "deconvolution",
    "deformable",
    "window",
]

_ACTIVATIONS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 0, 5: 0, 6: 2}
"""Number of parameters of each activation inside a layer, such as 3 for Clip."""

INTEGER, INTEGER_RESULT = 1, 101
"""Values of parameter 8 of a convolution of integers: its output is float, or integers too."""

WITHOUT_WINOGRAD = 64
"""Value of parameter 31 of a convolution that is computed without Winograd's transformation."""


def _activation(layer: NcnnLayer) -> None:
    kind = layer.whole(9)
    given = layer.values.get(10, ())
    if kind not in _ACTIVATIONS or not isinstance(given, tuple):
        raise ValueError(f"{kind} is not an activation")
    if len(given) != _ACTIVATIONS[kind] or not all(isinstance(one, float) for one in given):
        raise ValueError(f"expected {_ACTIVATIONS[kind]} parameters of the activation, all floats")


class Window(NamedTuple):
    """Kernel of a layer: its height and width, its reach, strides, and pads (t, l, b, r)."""

    size: tuple[int, int]
    reach: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]

    def over(self, blob: Blob) -> tuple[int, int]:
        """Returns height and width of the result of moving the kernel over a blob."""
        top, left, bottom, right = self.pads
        sides = blob.height + top + bottom, blob.width + left + right
        found = [
            (side - reach) // stride + 1
            for side, reach, stride in zip(sides, self.reach, self.strides, strict=True)
        ]
        return found[0], found[1]


def window(layer: NcnnLayer) -> Window:
    """Returns the kernel of any kind of convolution.

    Raises:
        ValueError: A parameter is not possible.
    """

    def pair(across: int, down: int, default: int = 1) -> tuple[int, int]:
        width = within(layer, across, 1, MOST_KERNEL, default)
        return within(layer, down, 1, MOST_KERNEL, width), width

    size = pair(1, 11, default=0)
    dilations, strides = pair(2, 12), pair(3, 13)
    reach = (dilations[0] * (size[0] - 1) + 1, dilations[1] * (size[1] - 1) + 1)
    left = within(layer, 4, 0, MOST_KERNEL)
    top = within(layer, 14, 0, MOST_KERNEL, left)
    right = within(layer, 15, 0, MOST_KERNEL, left)
    bottom = within(layer, 16, 0, MOST_KERNEL, top)
    _activation(layer)
    return Window(size, reach, strides, (top, left, bottom, right))


def _weighted(
    layer: NcnnLayer, blob: Blob, kernel: Window, groups: int, *, integers: bool = False
) -> list[WeightArray]:
    """Returns the arrays of a convolution."""
    outputs = within(layer, 0, 1, MOST_SIDE)
    if blob.channels % groups or outputs % groups:
        raise ValueError(f"its channels do not form {groups} groups")
    count = outputs * (blob.channels // groups) * kernel.size[0] * kernel.size[1]
    if layer.whole(6) != count:
        raise ValueError(f"expected {count} weights; found {layer.whole(6)}")
    found = [WeightArray(layer.name, "weight", count, marked=True, integer=integers)]
    if within(layer, 5, 0, 1):
        found.append(WeightArray(layer.name, "bias", outputs))
    return found


def convolution(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    """Rule of a convolution, of floats or integers."""
    given(blobs, 1, integers=True)
    (blob,) = blobs
    depthwise = layer.kind == "ConvolutionDepthWise"
    groups = within(layer, 7, 1, blob.channels, 1) if depthwise else 1
    kernel, term = window(layer), layer.whole(8)
    if layer.whole(31) not in (0, WITHOUT_WINOGRAD):
        raise ValueError(f"expected parameter 31 to be 0 or {WITHOUT_WINOGRAD}")
    if term not in (0, INTEGER, INTEGER_RESULT):
        raise ValueError(
            f"expected parameter 8 to be 0, {INTEGER} or {INTEGER_RESULT}; found {term}"
        )
    if blob.bits != 32 and not term:
        raise ValueError("an input has integers instead of floats")
    weights = _weighted(layer, blob, kernel, groups, integers=bool(term))
    if term:
        count = groups if depthwise else layer.whole(0)
        weights.append(WeightArray(layer.name, "weight_scale", count))
        weights.append(WeightArray(layer.name, "input_scale", 1))
    if term == INTEGER_RESULT:
        weights.append(WeightArray(layer.name, "output_scale", 1))
    bits = 8 if term == INTEGER_RESULT else 32
    return RuleResult([Blob(layer.whole(0), *kernel.over(blob), bits)], weights)


def deconvolution(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    """Rule of a transposed convolution."""
    given(blobs, 1)
    (blob,) = blobs
    fixed(layer, p18=0, p19=0)
    depthwise = layer.kind == "DeconvolutionDepthWise"
    groups = within(layer, 7, 1, blob.channels, 1) if depthwise else 1
    kernel = window(layer)
    top, left, bottom, right = kernel.pads
    height = (blob.height - 1) * kernel.strides[0] + kernel.reach[0] - top - bottom
    width = (blob.width - 1) * kernel.strides[1] + kernel.reach[1] - left - right
    weights = _weighted(layer, blob, kernel, groups)
    return RuleResult([Blob(layer.whole(0), height, width)], weights)


def deformable(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    """Rule of a deformable convolution."""
    given(blobs, 3)
    blob, offset, mask = blobs
    kernel = window(layer)
    taps, size = kernel.size[0] * kernel.size[1], kernel.over(blob)
    if offset != (2 * taps, *size, 32) or mask != (taps, *size, 32):
        raise ValueError("the offsets or the mask do not have the size of the output")
    return RuleResult([Blob(layer.whole(0), *size)], _weighted(layer, blob, kernel, 1))
