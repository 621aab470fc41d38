"""DEVICE. Rules of the layers that EdgeKit loads into ncnn: parameters, sizes and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from edgekit.targets.ncnn.convolutions import (
    Window,
    convolution,
    deconvolution,
    deformable,
)
from edgekit.targets.ncnn.param import NcnnLayer
from edgekit.targets.ncnn.sizes import (
    MOST_KERNEL,
    Blob,
    RuleResult,
    WeightArray,
    fixed,
    given,
    within,
)

__all__ = ["KINDS"]

_CONVOLVING = frozenset({0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16})

_Rule: TypeAlias = Callable[[NcnnLayer, Sequence[Blob]], RuleResult]


def _pooling(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 1)
    (blob,) = blobs
    within(layer, 0, 0, 1)
    fixed(layer, p4=0, p7=0)
    across = within(layer, 1, 1, MOST_KERNEL)
    down = within(layer, 11, 1, MOST_KERNEL, across)
    step = within(layer, 2, 1, MOST_KERNEL, 1)
    strides = within(layer, 12, 1, MOST_KERNEL, step), step
    left = within(layer, 3, 0, across - 1)
    top = within(layer, 13, 0, down - 1, left)
    pads = (
        top,
        left,
        within(layer, 15, 0, down - 1, top),
        within(layer, 14, 0, across - 1, left),
    )
    within(layer, 6, 0, 1)
    if layer.whole(5) != 1:  # 1 rounds the number of positions down, as PyTorch does
        raise ValueError(f"expected parameter 5 to be 1; found {layer.whole(5)}")
    kernel = Window((down, across), (down, across), strides, pads)
    return RuleResult([Blob(blob.channels, *kernel.over(blob))])


def _same(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    """Rule of a layer that computes each value from one value."""
    given(blobs, 1)
    return RuleResult([blobs[0]])


def _binary(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 1 if within(layer, 1, 0, 1) else 2)
    within(layer, 0, 0, 11)
    if len(set(blobs)) != 1:
        raise ValueError("its inputs have different sizes")
    return RuleResult([blobs[0]])


def _interp(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 1)
    (blob,) = blobs
    within(layer, 0, 1, 3)
    fixed(layer, p3=0, p4=0, p5=0)
    within(layer, 6, 0, 1)
    scales = [layer.values.get(key) for key in (1, 2)]
    if any(not isinstance(scale, float) or scale not in range(1, 17) for scale in scales):
        raise ValueError("expected the scales to be whole numbers from 1 to 16, written as floats")
    down, across = (int(scale) for scale in scales if isinstance(scale, float))
    return RuleResult([Blob(blob.channels, blob.height * down, blob.width * across)])


def _concat(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, max(len(blobs), 1))
    fixed(layer, p0=0)
    if len({blob[1:] for blob in blobs}) != 1:
        raise ValueError("its inputs have different sizes")
    return RuleResult([blobs[0]._replace(channels=sum(blob.channels for blob in blobs))])


def _slice(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 1)
    (blob,) = blobs
    fixed(layer, p1=0)
    counts = layer.values.get(0)
    if not isinstance(counts, tuple) or sum(counts) != blob.channels:
        raise ValueError(f"expected slices of {blob.channels} channels together; found {counts}")
    whole = [count for count in counts if isinstance(count, int)]
    if len(whole) != len(counts) or min(whole) < 1:
        raise ValueError("expected positive numbers of channels")
    return RuleResult([blob._replace(channels=count) for count in whole])


def _split(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 1, integers=True)
    return RuleResult([blobs[0]] * max(len(layer.outputs), 1))


def _input(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 0)
    return RuleResult([Blob(layer.whole(2), layer.whole(1), layer.whole(0))])


def _quantize(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 1)
    if layer.whole(0) != 1:
        raise ValueError(f"expected one scale; found {layer.whole(0)}")
    return RuleResult([blobs[0]._replace(bits=8)], [WeightArray(layer.name, "input_scale", 1)])


def _batch_norm(layer: NcnnLayer, blobs: Sequence[Blob]) -> RuleResult:
    given(blobs, 1)
    (blob,) = blobs
    if layer.whole(0) != blob.channels:
        raise ValueError(f"expected {blob.channels} channels; found {layer.whole(0)}")
    roles = ("slope", "mean", "variance", "bias")
    return RuleResult([blob], [WeightArray(layer.name, role, blob.channels) for role in roles])


KINDS: dict[str, tuple[_Rule, frozenset[int]]] = {
    "BatchNorm": (_batch_norm, frozenset({0, 1})),
    "BinaryOp": (_binary, frozenset({0, 1, 2})),
    "Clip": (_same, frozenset({0, 1})),
    "Concat": (_concat, frozenset({0})),
    "Convolution": (convolution, _CONVOLVING | {8, 31}),
    "ConvolutionDepthWise": (convolution, _CONVOLVING | {7, 8}),
    "Deconvolution": (deconvolution, _CONVOLVING | {18, 19}),
    "DeconvolutionDepthWise": (deconvolution, _CONVOLVING | {7, 18, 19}),
    "DeformableConv2D": (deformable, _CONVOLVING),
    "Dropout": (_same, frozenset({0})),
    "ELU": (_same, frozenset({0})),
    "GELU": (_same, frozenset({0})),
    "HardSigmoid": (_same, frozenset({0, 1})),
    "HardSwish": (_same, frozenset({0, 1})),
    "Input": (_input, frozenset({0, 1, 2})),
    "Interp": (_interp, frozenset({0, 1, 2, 3, 4, 5, 6})),
    "Mish": (_same, frozenset()),
    "Noop": (_same, frozenset()),
    "Pooling": (_pooling, frozenset({0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 14, 15})),
    "Quantize": (_quantize, frozenset({0})),
    "ReLU": (_same, frozenset({0})),
    "SELU": (_same, frozenset({0, 1})),
    "Sigmoid": (_same, frozenset()),
    "Slice": (_slice, frozenset({0, 1})),
    "Split": (_split, frozenset()),
    "Swish": (_same, frozenset()),
    "TanH": (_same, frozenset()),
}
"""Rule and known parameters of each type of layer that EdgeKit loads."""
