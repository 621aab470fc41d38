"""Reads the structure of an ONNX model: its layers, and which of them can be quantized.

Which of these stay float because of their loss is decided by ``quantization.search``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edgekit.bundle import Bundle
from edgekit.errors import BundleError, MissingDependencyError
from edgekit.quantization.onnx.weights import convolution, is_pointwise
from edgekit.quantization.rounding.integer_weights import Convolution
from edgekit.runtime.types import Array
from edgekit.targets.base import reason_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = [
    "ACTIVATIONS",
    "OTHERS",
    "WEIGHTED",
    "convolutions",
    "inside",
    "load",
    "macs",
    "network",
    "pointwise_ends",
    "scope",
    "shapes",
    "to_round",
    "weighted",
]

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that multiply by weights."""

ACTIVATIONS = ("Clip", "Relu")
"""Operators that are rounded together with the operator before them."""

OTHERS = ("Add", "Concat", "Gather", "MaxPool", "Resize", "Transpose")
"""Operators that pass integers on unchanged."""

_OUTSIDE = ("cascade", "decode")
_MOVED = ("DeformConv", "GridSample", "Gather", "GatherElements", "MatMul")
"""Operators that mark a layer whose values are positions in the picture."""


def load(bundle: Bundle) -> ModelProto:
    """Returns the model of a bundle, an ``onnx.ModelProto`` with all shapes.

    Raises:
        MissingDependencyError: onnx is not installed.
        BundleError: The model cannot be read.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError.for_extra("onnx", "host", "Quantizing a model") from error
    try:
        return onnx.shape_inference.infer_shapes(onnx.load(str(bundle.model_path)))
    except Exception as error:  # protobuf and onnx exceptions have no common base class
        raise BundleError(
            f"{bundle.model_path} is not an ONNX model: {reason_of(error)}",
            hint=f"Export it again: edgekit export CHECKPOINT --target {bundle.manifest.target}",
        ) from error


def convolutions(model: ModelProto, nodes: Iterable[NodeProto]) -> dict[str, Convolution]:
    """Returns those nodes that are convolutions with unshared weights, by name."""
    return {node.name: convolution(node, weights) for node, weights in _own_weights(model, nodes)}


def _own_weights(
    model: ModelProto, nodes: Iterable[NodeProto]
) -> Iterator[tuple[NodeProto, Array]]:
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = Counter(name for node in model.graph.node for name in node.input)
    for node in nodes:
        if node.op_type == "Conv" and node.input[1] in stored and uses[node.input[1]] == 1:
            yield node, numpy_helper.to_array(stored[node.input[1]])


def scope(node: NodeProto) -> str:
    """Returns the layer that a node was made from: its name up to the operator."""
    return str(node.name).rpartition("/")[0]


def network(model: ModelProto) -> list[NodeProto]:
    """Returns the nodes, without those of the cascade and the decoding."""
    return [
        n for n in model.graph.node if n.name.partition(".")[0].partition("/")[0] not in _OUTSIDE
    ]


def inside(model: ModelProto) -> list[NodeProto]:
    """Returns the network's nodes, without those that compute positions in the picture."""
    nodes = network(model)
    moved = {scope(node) for node in nodes if node.op_type in _MOVED and scope(node)}
    return [node for node in nodes if scope(node) not in moved]


def weighted(model: ModelProto) -> list[NodeProto]:
    """Returns the network's nodes with weights, without those that produce its outputs."""
    names = {node.name for node in network(model)}
    outputs = {value.name for value in model.graph.output}
    # A decoder inside the model reads the tensors that would otherwise be outputs.
    outputs |= {name for n in model.graph.node if n.name not in names for name in n.input}
    return [n for n in inside(model) if n.op_type in WEIGHTED and n.output[0] not in outputs]


def pointwise_ends(model: ModelProto) -> list[NodeProto]:
    """Returns the pointwise convolutions that produce the network's outputs."""
    others = {node.name for node in weighted(model)}
    ends = [node for node in inside(model) if node.name not in others]
    return [node for node, weights in _own_weights(model, ends) if is_pointwise(node, weights)]


def to_round(model: ModelProto, keep_float: frozenset[str]) -> list[str]:
    """Returns names of the nodes to quantize: layers not kept float, and what follows them."""
    layers = {node.name for node in weighted(model)} - keep_float
    rounded: set[str] = set()
    chosen = []
    for node in inside(model):
        if node.op_type in WEIGHTED:
            wanted = node.name in layers
        else:
            # Between float layers, rounding would cost accuracy and time.
            follows = node.op_type in (*ACTIVATIONS, *OTHERS) and not rounded.isdisjoint(node.input)
            wanted = follows and node.name not in keep_float
        if wanted:
            chosen.append(node.name)
            rounded.update(node.output)
    return chosen


def shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Returns the known tensor shapes of a model, by name."""
    found = {
        value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim)
        for value in (*model.graph.value_info, *model.graph.output)
    }
    return found | {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def macs(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    """Returns the number of multiply-accumulate operations of a node with weights."""
    weight = shapes.get(node.input[1], ())
    if node.op_type == "ConvTranspose":  # each input value meets all weights of its channel
        return math.prod(weight) * math.prod(shapes.get(node.input[0], ())[2:])
    # Each weight of an output channel is used once per output position.
    return math.prod(weight) * math.prod(shapes.get(node.output[0], ())[2:])
