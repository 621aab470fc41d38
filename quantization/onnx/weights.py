"""Converts the weights of an ONNX model's convolutions to 8-bit integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.quantization.rounding.integer_weights import Convolution, IntegerWeights
from edgekit.runtime.types import Array
from edgekit.system.telemetry import import_onnxruntime

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["attributes", "convolution", "is_pointwise", "put"]


def attributes(node: NodeProto) -> dict[str, Any]:
    """Returns the attributes of a node, an ``onnx.NodeProto``, by name."""
    import onnx

    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def convolution(node: NodeProto, weights: Array) -> Convolution:
    """Returns the convolution that a Conv node computes.

    Args:
        node: An ``onnx.NodeProto``.
        weights: Weights of the node.
    """
    given = attributes(node)
    known = given.get("auto_pad", b"NOTSET") == b"NOTSET"
    known = known and all(step == 1 for step in given.get("dilations", (1, 1)))
    return Convolution(
        weights,
        groups=given.get("group", 1),
        strides=given.get("strides", (1, 1)),
        pads=given.get("pads", (0, 0, 0, 0)) if known else None,
    )


def is_pointwise(node: NodeProto, weights: Array) -> bool:
    """Returns whether a Conv multiplies the channels at each position by one matrix.

    Args:
        node: An ``onnx.NodeProto``.
        weights: Weights of the node, (out, in / groups, height, width).
    """
    given = attributes(node)
    plain = given.get("group", 1) == 1 and not any(given.get("pads", ()))
    plain = plain and all(step == 1 for step in given.get("strides", ()))
    return plain and weights.shape[2:] == (1, 1)


def put(
    model: ModelProto, nodes: Sequence[NodeProto], found: Mapping[str, IntegerWeights]
) -> dict[str, list[dict[str, object]]]:
    """Replaces weights by the values of their integers, and corrects the biases.

    Args:
        model: An ``onnx.ModelProto``, which is changed.
        nodes: Convolutions in the model.
        found: Integer weights by name, at least for each of ``nodes``.

    Returns:
        The scale of each channel of each weight tensor, as ``TensorQuantOverrides`` of ONNX
        Runtime's tool.
    """
    import_onnxruntime()
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = Counter(name for node in model.graph.node for name in node.input)
    overrides: dict[str, list[dict[str, object]]] = {}
    for node in nodes:
        made = found[node.name]
        name = node.input[1]
        values = made.floats()
        stored[name].CopyFrom(numpy_helper.from_array(values, name))
        bias = node.input[2] if len(node.input) > 2 else ""
        if bias in stored and uses[bias] == 1:
            moved = numpy_helper.to_array(stored[bias]) + made.shift
            stored[bias].CopyFrom(numpy_helper.from_array(moved, bias))
        zero = np.zeros((), np.int8)
        overrides[name] = [
            {"quant_type": QuantType.QInt8, "axis": 0, "scale": scale, "zero_point": zero}
            for scale in made.scale
        ]
    return overrides
