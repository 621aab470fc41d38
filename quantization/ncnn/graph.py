"""Reads the structure of an ncnn model: its layers, and which of them can be quantized.

Which of these stay float because of their loss is decided by ``quantization.search``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgekit.quantization.rounding.compensation import LARGEST
from edgekit.quantization.rounding.integer_weights import Convolution
from edgekit.runtime.types import Array
from edgekit.targets.ncnn.convolutions import window
from edgekit.targets.ncnn.model import NcnnModel
from edgekit.targets.ncnn.param import NcnnLayer
from edgekit.targets.ncnn.structure import Structure, multiply_adds

__all__ = [
    "MOST_SUM",
    "convolution",
    "floats",
    "largest_sum",
    "nonnegative",
    "readers",
    "source",
    "unfused",
    "weighted",
]

_WITHOUT_INTEGERS = ("Deconvolution", "DeconvolutionDepthWise", "DeformableConv2D")
_PER_INPUT, _PER_OUTPUT = 18, 30
"""Least number of products for each value that a layer reads and writes, to be faster in 8 bits.

A result is rescaled in float, which takes longer than to round an input. On a Zen 4 with VNNI,
layers of ``lite0`` with fewer products took 0.6 to 1.7 of their time in float, and the others 0.3
to 0.9. On an AVX2 processor, layers with 10 to 20 products for each value took 0.9 to 1.4, those
with 31 and more 0.6 to 0.95.
"""

_RELU, _CLIP = 1, 3
_BICUBIC = 3
_PASSING = ("Concat", "Dropout", "Interp", "Noop", "Pooling", "Slice", "Split")
"""Layers whose outputs have the sign of their inputs."""

MOST_SUM = 2**31 / 576 / 127
"""Largest sum of magnitudes of integer weights that ncnn's transformation of 3x3 kernels takes.

It multiplies the sums of products by 576, and they must fit into 32 bits. Only the result counts:
the steps before it add modulo 2**32. ncnn's own tools use 6-bit weights instead.
"""

_MARGIN = 1.02
"""Compensation changes the sums of the weights a little."""

_FUSED = {1: "ReLU", 2: "ReLU", 3: "Clip", 4: "Sigmoid", 5: "Mish", 6: "HardSwish"}
"""Layers by the number of the same activation inside a convolution."""


def weighted(structure: Structure) -> list[NcnnLayer]:
    """Returns the layers that can be quantized."""
    kept = floats(structure)
    layers = [layer for layer in structure.layers if layer.kind == "Convolution"]
    return [layer for layer in layers if layer.name not in kept]


def floats(structure: Structure) -> dict[str, str]:
    """Returns the layers with weights that always stay float, each with the reason."""
    found = {}
    first = next((layer.name for layer in structure.layers if layer.kind == "Convolution"), "")
    for layer in structure.layers:
        if layer.kind == "ConvolutionDepthWise":
            found[layer.name] = "ncnn computes depthwise convolutions faster in float"
        elif layer.kind in _WITHOUT_INTEGERS:
            found[layer.name] = f"ncnn has no {layer.kind} of integers"
        elif layer.kind != "Convolution":
            continue
        elif layer.name == first or _small(structure, layer):
            found[layer.name] = (
                "ncnn computes it faster in float: rounding its many values takes longer than "
                "8-bit products save"
            )
    return found


def _small(structure: Structure, layer: NcnnLayer) -> bool:
    """Returns whether a convolution has too little work to be faster in 8 bits."""
    read, written = (
        sum(structure.blobs[name].values for name in names)
        for names in (layer.inputs, layer.outputs)
    )
    return multiply_adds(structure, layer) < _PER_INPUT * read + _PER_OUTPUT * written


def nonnegative(structure: Structure) -> set[str]:
    """Returns the blobs whose values are never negative, whatever the network's input is."""
    found: set[str] = set()
    for layer in structure.layers:
        given = layer.values.get(10)
        positive = (
            layer.kind == "Sigmoid"
            or (layer.kind == "ReLU" and not layer.values.get(0))
            or layer.values.get(9) == _RELU
            or (layer.values.get(9) == _CLIP and isinstance(given, tuple) and given[0] >= 0)
        )
        added = layer.kind == "BinaryOp" and not (layer.values.get(0) or layer.values.get(1))
        passes = added or (layer.kind in _PASSING and layer.values.get(0) != _BICUBIC)
        if positive or (passes and layer.inputs and found.issuperset(layer.inputs)):
            found.update(layer.outputs)
    return found


def convolution(model: NcnnModel, layer: NcnnLayer, *, positive: bool = False) -> Convolution:
    """Returns the convolution that a layer computes.

    The weights of a 3x3 convolution are scaled so that ncnn can compute its integers by Winograd's
    transformation, without which it would be slower than in float.

    Args:
        model: Model with the weights.
        layer: A layer of it.
        positive: Whether the input of the layer is never negative.
    """
    geometry = window(layer)
    values = model.arrays[layer.name, "weight"].astype(np.float32)
    values = values.reshape(layer.whole(0), -1, *geometry.size)
    rows = values.reshape(len(values), -1)
    scale = np.abs(rows).max(1) / LARGEST
    if geometry.size == (3, 3):
        scale = np.maximum(scale, _MARGIN * largest_sum(rows, positive=positive) / MOST_SUM)
    return Convolution(
        values,
        strides=geometry.strides,
        pads=geometry.pads if geometry.size == geometry.reach else None,
        # ncnn adds products in 32 bits on every processor, so neighbours may both be large.
        scale=np.where(scale > 0, scale, 1.0),
    )


def largest_sum(rows: Array, *, positive: bool) -> Array:
    """Returns the largest possible sum of products in each channel, for inputs from -1 to 1.

    Args:
        rows: Weights, (out, n).
        positive: Whether no input is negative.

    Returns:
        (out,)
    """
    above, below = rows.clip(min=0).sum(1), -rows.clip(max=0).sum(1)
    found: Array = np.maximum(above, below) if positive else above + below
    return found


def source(structure: Structure) -> dict[str, str]:
    """Returns for each blob the blob that it is a copy of, which is often itself."""
    found = {name: name for name in structure.blobs}
    for layer in structure.layers:
        if layer.kind == "Split":
            found |= dict.fromkeys(layer.outputs, found[layer.inputs[0]])
    return found


def readers(structure: Structure) -> dict[str, list[NcnnLayer]]:
    """Returns for each blob that is no copy the layers that read it or a copy."""
    origin = source(structure)
    found: dict[str, list[NcnnLayer]] = {}
    for layer in structure.layers:
        if layer.kind != "Split":
            for name in layer.inputs:
                found.setdefault(origin[name], []).append(layer)
    return found


def unfused(structure: Structure) -> list[NcnnLayer]:
    """Returns the layers with activations of their own.

    Inside a convolution an activation can hide that a sum is not finite. The sums have the names of
    the layers.
    """
    made: list[NcnnLayer] = []
    for layer in structure.layers:
        kind = layer.whole(9) if layer.kind in ("Convolution", "ConvolutionDepthWise") else 0
        if kind not in _FUSED:
            made.append(layer)
            continue
        given = layer.values.get(10, ())
        assert isinstance(given, tuple)
        values = {key: value for key, value in layer.values.items() if key not in (9, 10)}
        total = f"{layer.name}:sum"
        made.append(replace(layer, outputs=(total,), values=values))
        made.append(
            NcnnLayer(
                _FUSED[kind],
                f"{layer.name}:activation",
                (total,),
                layer.outputs,
                dict(enumerate(given)),
            )
        )
    return made
