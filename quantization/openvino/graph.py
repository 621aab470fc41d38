"""Reads the structure of an ``openvino.Model``: its layers, and which can be quantized.

Which of these stay float because of their loss is decided by ``quantization.search``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openvino import Model, Node, Output

__all__ = [
    "is_whole",
    "macs",
    "outside",
    "release",
    "root",
    "rounding_before",
    "roundings",
    "source",
    "weighted",
]

_WEIGHTED = (
    "Convolution",
    "ConvolutionBackpropData",
    "GroupConvolution",
    "GroupConvolutionBackpropData",
    "MatMul",
)
_RESHAPING = ("Convert", "Reshape", "Transpose", "Unsqueeze")


def outside(model: Model) -> set[str]:
    """Returns the names of the operators that must stay float."""
    operators = {operator.get_friendly_name(): operator for operator in model.get_ordered_ops()}
    deformable = {
        found.group(1)
        for name in operators
        if (found := re.match(r"(.+)\.conv_offset_mask/", name))
    }
    return {
        name
        for name, operator in operators.items()
        if (layer := name.partition("/")[0]) in ("cascade", "decode")
        or (layer in deformable and operator.get_type_name() not in _WEIGHTED)
    }


def weighted(model: Model) -> list[Node]:
    """Returns the layers that can be quantized, which are those with weights."""
    excluded = outside(model)
    return [
        operator
        for operator in model.get_ordered_ops()
        if operator.get_type_name() in _WEIGHTED
        and operator.get_friendly_name() not in excluded
        and root(operator.input_value(1)).get_type_name() == "Constant"
    ]


def root(value: Output) -> Node:
    """Returns the operator that a value comes from, looking through reshaping and rounding."""
    node = value.get_node()
    while node.get_type_name() in (*_RESHAPING, "FakeQuantize"):
        node = node.input_value(0).get_node()
    return node


def macs(operator: Node) -> int:
    """Returns the number of multiply-accumulate operations of a layer with weights."""
    kind = operator.get_type_name()
    values, weights, result = (
        list(shape)
        for shape in (
            operator.input(0).get_shape(),
            operator.input(1).get_shape(),
            operator.output(0).get_shape(),
        )
    )
    if kind == "MatMul":
        return int(math.prod(result) * values[-1])
    # A weight is used at each position of the larger map: output, or input if transposed.
    places = values[2:] if kind.endswith("BackpropData") else result[2:]
    return int(math.prod(weights) * math.prod(places))


def roundings(model: Model) -> Iterator[Node]:
    """Yields the FakeQuantize operators of activations."""
    for operator in model.get_ordered_ops():
        if (
            operator.get_type_name() == "FakeQuantize"
            and root(operator.input_value(0)).get_type_name() != "Constant"
        ):
            yield operator


def is_whole(rounding: Node) -> bool:
    """Returns whether a FakeQuantize has one range for all channels."""
    return bool(math.prod(rounding.input(1).get_shape()) == 1)


def source(rounding: Node) -> str:
    """Returns the name of the operator whose result is rounded."""
    return str(root(rounding.input_value(0)).get_friendly_name())


def rounding_before(layer: Node) -> Node:
    """Returns the FakeQuantize on a layer's input; None if there is none."""
    node = layer.input_value(0).get_node()
    while node.get_type_name() in (*_RESHAPING, "MaxPool"):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "FakeQuantize" else None


def release(model: Model, layers: Collection[str]) -> None:
    """Removes rounding from the inputs of layers, and from tensors that only they produce.

    Those tensors are still rounded where they enter a layer that is not released.

    Args:
        model: Model with FakeQuantize operators, which is changed.
        layers: Names of the layers to release.
    """
    names = {layer.get_friendly_name() for layer in weighted(model)}
    integer = names - set(layers)
    for layer in weighted(model):
        if layer.get_friendly_name() in layers:
            for place in layer.inputs():
                _release(place)
    for rounding in list(roundings(model)):
        if _feeding(rounding, names) <= set(layers):
            for target in rounding.output(0).get_target_inputs():
                if not _enters(target.get_node(), integer):
                    target.replace_source_output(rounding.input_value(0))


def _release(place: Node) -> None:
    while place.get_source_output().get_node().get_type_name() in _RESHAPING:
        place = place.get_source_output().get_node().input(0)
    rounding = place.get_source_output().get_node()
    if rounding.get_type_name() == "FakeQuantize":
        place.replace_source_output(rounding.input_value(0))


def _feeding(operator: Node, layers: set[str]) -> set[str]:
    """Returns names of the nearest layers and model inputs before an operator."""
    found: set[str] = set()
    ways, seen = [operator], {operator.get_friendly_name()}
    while ways:
        for value in ways.pop().input_values():
            node = value.get_node()
            name = node.get_friendly_name()
            if name in layers or node.get_type_name() == "Parameter":
                found.add(name)
            elif name not in seen:
                seen.add(name)
                ways.append(node)
    return found


def _enters(operator: Node, layers: set[str]) -> bool:
    """Returns whether an operator is a layer, or leads to one without rounding in between."""
    if operator.get_friendly_name() in layers:
        return True
    return operator.get_type_name() != "FakeQuantize" and any(
        _enters(target.get_node(), layers)
        for output in operator.outputs()
        for target in output.get_target_inputs()
    )
