"""Converts the weights of an ``openvino.Model``'s convolutions to 8-bit integers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.quantization.openvino.graph import root, weighted
from edgekit.quantization.rounding.compensation import LARGEST
from edgekit.quantization.rounding.integer_weights import Convolution, IntegerWeights

if TYPE_CHECKING:
    from openvino import Model, Node

__all__ = ["convolutions", "put"]

_KINDS = ("Convolution", "GroupConvolution")


def convolutions(model: Model) -> dict[str, Convolution]:
    """Returns the convolutions of a float model that can be quantized, by name."""
    found = {}
    for layer in weighted(model):
        if layer.get_type_name() not in _KINDS or len(layer.get_strides()) != 2:
            continue
        shape = list(layer.input(1).get_shape())
        groups = shape[0] if layer.get_type_name() == "GroupConvolution" else 1
        weights = np.asarray(root(layer.input_value(1)).get_data(), np.float64)
        known = layer.get_auto_pad() == "explicit" and set(layer.get_dilations()) == {1}
        pads = [*layer.get_pads_begin(), *layer.get_pads_end()]
        found[layer.get_friendly_name()] = Convolution(
            weights.reshape(-1, *shape[-3:]),
            groups=groups,
            strides=tuple(layer.get_strides()),
            pads=pads if known else None,
        )
    return found


def put(model: Model, found: Mapping[str, IntegerWeights], keep_float: Collection[str]) -> None:
    """Puts integer weights into convolutions, and corrects the biases.

    Args:
        model: Model with FakeQuantize operators, which is changed.
        found: Integer weights by convolution name.
        keep_float: Names of the convolutions that stay unchanged.
    """
    for layer in weighted(model):
        made = found.get(layer.get_friendly_name())
        if made is None or layer.get_friendly_name() in keep_float:
            continue
        rounding = layer.input_value(1).get_node()
        while rounding.get_type_name() != "FakeQuantize":
            rounding = rounding.input_value(0).get_node()
        shape = list(rounding.input(0).get_shape())
        _replace(rounding.input(0), made.floats().reshape(shape))
        top = (LARGEST * made.scale).reshape(list(rounding.input(1).get_shape()))
        for place, end in enumerate((-top, top, -top, top)):
            _replace(rounding.input(1 + place), end)
        for target in layer.output(0).get_target_inputs():
            bias = _bias(target.get_node())
            if bias is not None:
                _replace(
                    bias,
                    bias.get_source_output().get_node().get_data()
                    + made.shift.reshape(list(bias.get_shape())),
                )


def _bias(node: Node) -> Node:
    """Returns the place where a bias enters an addition; None if there is none."""
    if (
        node.get_type_name() == "Add"
        and node.input_value(1).get_node().get_type_name() == "Constant"
    ):
        return node.input(1)
    return None


def _replace(place: Node, values: Any) -> None:
    from openvino import opset8

    constant = opset8.constant(np.ascontiguousarray(values, np.float32))
    place.replace_source_output(constant.output(0))
