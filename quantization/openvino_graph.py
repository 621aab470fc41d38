"""What of an ``openvino.Model`` is rounded to integers, and what stays float."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from typing import Any

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


def outside(model: Any) -> set[str]:
    """Names of the operators that have to stay float."""
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


def weighted(model: Any) -> list[Any]:
    """The layers that can be rounded: those with weights."""
    excluded = outside(model)
    return [
        operator
        for operator in model.get_ordered_ops()
        if operator.get_type_name() in _WEIGHTED
        and operator.get_friendly_name() not in excluded
        and root(operator.input_value(1)).get_type_name() == "Constant"
    ]


def root(value: Any) -> Any:
    """What a weight is made of."""
    node = value.get_node()
    while node.get_type_name() in (*_RESHAPING, "FakeQuantize"):
        node = node.input_value(0).get_node()
    return node


def macs(operator: Any) -> int:
    """Multiplications with addition of a layer with weights."""
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
    # A weight meets each place of what is larger once: of the result, or, transposed, of the input.
    places = values[2:] if kind.endswith("BackpropData") else result[2:]
    return int(math.prod(weights) * math.prod(places))


def roundings(model: Any) -> Iterator[Any]:
    """The roundings of activations."""
    for operator in model.get_ordered_ops():
        if (
            operator.get_type_name() == "FakeQuantize"
            and root(operator.input_value(0)).get_type_name() != "Constant"
        ):
            yield operator


def is_whole(rounding: Any) -> bool:
    """Whether a rounding has one range for all channels."""
    return bool(math.prod(rounding.input(1).get_shape()) == 1)


def source(rounding: Any) -> str:
    """Name of the operator whose result is rounded."""
    return str(root(rounding.input_value(0)).get_friendly_name())


def rounding_before(layer: Any) -> Any:
    """The rounding of what a layer reads; None without one."""
    node = layer.input_value(0).get_node()
    while node.get_type_name() in (*_RESHAPING, "MaxPool"):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "FakeQuantize" else None


def release(model: Any, layers: Collection[str]) -> None:
    """Takes the roundings off the inputs of layers, and off what only such layers give.

    The latter are still rounded where they enter a layer that is not released.

    Args:
        model: With roundings; is changed.
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


def _release(place: Any) -> None:
    while place.get_source_output().get_node().get_type_name() in _RESHAPING:
        place = place.get_source_output().get_node().input(0)
    rounding = place.get_source_output().get_node()
    if rounding.get_type_name() == "FakeQuantize":
        place.replace_source_output(rounding.input_value(0))


def _feeding(operator: Any, layers: set[str]) -> set[str]:
    """Names of the nearest layers, and inputs of the model, that an operator's input comes from."""
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


def _enters(operator: Any, layers: set[str]) -> bool:
    """Whether an operator is one of the layers, or leads to one without a rounding between."""
    if operator.get_friendly_name() in layers:
        return True
    return operator.get_type_name() != "FakeQuantize" and any(
        _enters(target.get_node(), layers)
        for output in operator.outputs()
        for target in output.get_target_inputs()
    )
