"""Rewrites operators of an ONNX model for which ONNX Runtime has faster integer kernels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.quantization.onnx.graph import shapes
from edgekit.quantization.onnx.weights import attributes
from edgekit.quantization.rounding.integer_weights import IntegerWeights
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["as_products", "upsample_by_rows"]

_TO_LAST = [0, 2, 3, 1]
"""Permutation from (1, C, H, W) to (1, H, W, C)."""

_TO_FIRST = [0, 3, 1, 2]


def upsample_by_rows(model: ModelProto, names: Collection[str]) -> None:
    """Replaces nearest-neighbour upsampling by copies of columns, then of rows.

    Args:
        model: An ``onnx.ModelProto`` with all shapes, which is changed.
        names: Names of the nodes to examine; other nodes than such upsampling are kept.
    """
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    known = shapes(model)
    for node in [n for n in model.graph.node if n.name in names and n.op_type == "Resize"]:
        scales = stored.get(node.input[2]) if len(node.input) == 3 else None
        shape = known.get(node.input[0], ())
        if scales is None or len(shape) != 4 or not _repeats(node):
            continue
        times = numpy_helper.to_array(scales)
        if (times[:2] != 1).any() or (times % 1).any():
            continue
        part = _Replacement(model, node)
        made = part.add("Transpose", node.input[0], perm=_TO_LAST)
        for axis in (2, 1):
            places = np.repeat(np.arange(shape[axis + 1]), int(times[axis + 1]))
            made = part.add("Gather", made, part.store(f"places_{axis}", places), axis=axis)
        part.add("Transpose", made, perm=_TO_FIRST, output=node.output[0])
        part.replace()


def as_products(
    model: ModelProto,
    nodes: Sequence[NodeProto],
    weights: Mapping[str, IntegerWeights],
    ranges: Mapping[str, tuple[float, float]],
) -> None:
    """Replaces pointwise convolutions by integer matrix products with float outputs.

    ONNX Runtime has an integer product with a float output, but no such convolution. The layer's
    output is not rounded.

    Args:
        model: An ``onnx.ModelProto`` with pairs of QuantizeLinear and DequantizeLinear, which is
            changed.
        nodes: Convolutions in the model.
        weights: Integer weights by name, at least for each of ``nodes``.
        ranges: Lowest and highest value of their inputs, for inputs without a pair.
    """
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    paired = {n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    for node in nodes:
        made, part, read = weights[node.name], _Replacement(model, node), node.input[0]
        if read not in paired:
            read = part.pair(read, *ranges[read])
        matrix = part.add(
            "DequantizeLinear",
            part.store("integers", np.ascontiguousarray(made.values[:, :, 0, 0].T)),
            part.store("scale", made.scale),
            part.store("zero", np.zeros(len(made.scale), np.int8)),
            axis=1,
        )
        turned = part.add("Transpose", read, perm=_TO_LAST)
        product = part.add("MatMul", turned, matrix, name=node.name)
        back = part.add("Transpose", product, perm=_TO_FIRST)
        # Next to the product, the bias would be fused first, and the integer kernel never used.
        bias = numpy_helper.to_array(stored[node.input[2]]) if len(node.input) > 2 else 0
        moved = (bias + made.shift).astype(np.float32)[:, None, None]
        part.add("Add", back, part.store("bias", moved), output=node.output[0])
        part.replace()


class _Replacement:
    """Nodes that replace another node.

    Args:
        model: An ``onnx.ModelProto``.
        node: Node of the model that is replaced.
    """

    def __init__(self, model: ModelProto, node: NodeProto) -> None:
        self._graph, self._node = model.graph, node
        self._made: list[NodeProto] = []

    def store(self, name: str, values: Array) -> str:
        """Adds an initializer; returns its full name."""
        from onnx import numpy_helper

        name = f"{self._node.name}:{name}"
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, *inputs: str, name: str = "", output: str = "", **given: Any) -> str:
        """Adds a node; returns the name of its output."""
        from onnx import TensorProto, helper

        place = f"{self._node.name}.{len(self._made)}"
        if not output:
            output = f"{place}:0"
            value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
            self._graph.value_info.append(value)
        made = helper.make_node(kind, inputs, [output], name or place, **given)
        self._made.append(made)
        return output

    def pair(self, name: str, low: float, high: float) -> str:
        """Adds a pair that rounds a tensor to unsigned 8 bits; returns its output's name."""
        low, high = min(low, 0.0), max(high, 0.0)
        step = np.float32((high - low) / 255 or 1.0)
        scale = self.store("read_scale", np.array(step))
        zero = self.store("read_zero", np.array(np.rint(-low / step), np.uint8))
        return self.add(
            "DequantizeLinear", self.add("QuantizeLinear", name, scale, zero), scale, zero
        )

    def replace(self) -> None:
        """Inserts the new nodes in place of the old one."""
        place = list(self._graph.node).index(self._node)
        self._graph.node.remove(self._node)
        for made in reversed(self._made):
            self._graph.node.insert(place, made)


def _repeats(node: NodeProto) -> bool:
    """Returns whether a Resize repeats each value a whole number of times."""
    given = attributes(node)
    modes = [
        given.get("mode", b"nearest"),
        given.get("coordinate_transformation_mode", b"half_pixel"),
        given.get("nearest_mode", b"round_prefer_floor"),
    ]
    return modes == [b"nearest", b"asymmetric", b"floor"]
