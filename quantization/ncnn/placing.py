"""Replaces layers of an ncnn model by INT8 layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgekit.quantization.ncnn.graph import MOST_SUM, largest_sum, nonnegative, readers, source
from edgekit.quantization.rounding.integer_weights import IntegerWeights
from edgekit.runtime.types import Array
from edgekit.targets.ncnn.convolutions import INTEGER, INTEGER_RESULT, WITHOUT_WINOGRAD
from edgekit.targets.ncnn.model import NcnnModel
from edgekit.targets.ncnn.param import NcnnLayer
from edgekit.targets.ncnn.weights import Arrays

__all__ = ["placed"]

_LARGEST = 127


def placed(
    model: NcnnModel, reach: Mapping[str, float], weights: Mapping[str, IntegerWeights]
) -> tuple[list[NcnnLayer], Arrays]:
    """Returns the layers and arrays of a model in which some convolutions compute with integers.

    A value that only such layers read is an integer already where it is made, and is rounded once.

    Args:
        model: Float model.
        reach: Largest magnitude that the integers represent, by the name of a blob that is no copy.
        weights: Integer weights of the layers to change, by the layer's name.
    """
    structure = model.structure
    origin, users, positive = source(structure), readers(structure), nonnegative(structure)
    whole = {
        name for name, layers in users.items() if all(layer.name in weights for layer in layers)
    }
    arrays: Arrays = dict(model.arrays)
    made: list[NcnnLayer] = []
    for layer in structure.layers:
        shared = layer.kind == "Split" and layer.inputs[0] in whole
        if layer.name in weights:
            result = layer.outputs[0]
            safe = _fits(weights[layer.name].values, layer.inputs[0] in positive)
            layer = _with_integers(layer, weights[layer.name], arrays, result in whole, safe)
            arrays[layer.name, "input_scale"] = _scale(reach[origin[layer.inputs[0]]])
            if result in whole:
                arrays[layer.name, "output_scale"] = _scale(reach[result])
        elif shared and _maker(structure.layers, layer.inputs[0]).name not in weights:
            (name,) = layer.inputs
            made.append(
                NcnnLayer("Quantize", f"{name}:quantize", (name,), (f"{name}:int8",), {0: 1})
            )
            arrays[f"{name}:quantize", "input_scale"] = _scale(reach[name])
            layer = replace(layer, inputs=(f"{name}:int8",))
        made.append(layer)
    return made, arrays


def _with_integers(
    layer: NcnnLayer, found: IntegerWeights, arrays: Arrays, whole: bool, safe: bool
) -> NcnnLayer:
    """Returns a convolution of integers, and puts its weights into ``arrays``.

    Args:
        layer: Float convolution.
        found: Integer weights.
        arrays: Arrays of the model, which are changed.
        whole: Whether its output is integers, too.
        safe: Whether ncnn can transform its kernels without an overflow.
    """
    bias = arrays.get((layer.name, "bias"), np.float32(0)) + found.shift
    arrays[layer.name, "weight"] = found.values.ravel()
    arrays[layer.name, "bias"] = bias.astype("<f4")
    arrays[layer.name, "weight_scale"] = (1 / found.scale).astype("<f4")
    values = layer.values | {5: 1, 8: INTEGER_RESULT if whole else INTEGER}
    if not safe:
        values |= {31: WITHOUT_WINOGRAD}
    return replace(layer, values=values)


def _fits(values: Array, positive: bool) -> bool:
    """Returns whether ncnn can transform a 3x3 kernel of integers without an overflow."""
    rows = values.astype(np.float64).reshape(len(values), -1)
    small = values.shape[2:] != (3, 3)
    return small or bool(largest_sum(rows, positive=positive).max() < MOST_SUM)


def _maker(layers: tuple[NcnnLayer, ...], blob: str) -> NcnnLayer:
    return next(layer for layer in layers if blob in layer.outputs)


def _scale(reach: float) -> Array:
    return np.array([_LARGEST / reach], "<f4")
