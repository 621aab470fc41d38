"""HOST. Looks up in an ONNX model the type, shape, constant value and source of each tensor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from edgekit.errors import BundleError, MissingDependencyError
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

__all__ = ["FlatGraph"]

T = TypeVar("T")

_AGAIN = "Export it again: edgekit export CHECKPOINT --target jetson"

_WORDS = {
    "FLOAT": "FP32",
    "FLOAT16": "FP16",
    "BFLOAT16": "BF16",
    "DOUBLE": "FP64",
}


class FlatGraph:
    """A model in which graphs inside nodes are flattened.

    Args:
        path: ONNX file to read.

    Attributes:
        nodes: All nodes, including those of inner graphs.
        inputs: Shape of each network input by name; ``None`` is a dimension that is not fixed.
        outputs: Names of the network's outputs.
        opset: Version of ONNX's own operators; 0 if the model names none.

    Raises:
        MissingDependencyError: onnx is not installed.
        BundleError: The file does not exist, or is not an ONNX model.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingDependencyError.for_extra("onnx", "host", "Checking a model") from error
        self._onnx = onnx
        try:
            model = onnx.load(str(path))
            # The stricter onnx.checker would stop at the first unknown operator.
            model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except Exception as error:  # protobuf and onnx exceptions have no common base class
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{path} is not an ONNX model: {reason}", hint=_AGAIN) from error
        if not model.graph.node:
            raise BundleError(f"{path} is not an ONNX model: it has no nodes.", hint=_AGAIN)
        self.opset = next((s.version for s in model.opset_import if not s.domain), 0)
        self.nodes: list[NodeProto] = []
        self._types: dict[str, int] = {}
        self._shapes: dict[str, tuple[int | None, ...]] = {}
        self._constants: dict[str, TensorProto] = {}
        for graph in _graphs(model.graph):
            self._read(graph)
        stored = {tensor.name for tensor in model.graph.initializer}
        self.inputs = {
            value.name: self._shapes.get(value.name, (None,))
            for value in model.graph.input
            if value.name not in stored
        }
        self.outputs = {value.name for value in model.graph.output}
        self._producers = {name: node for node in self.nodes for name in node.output}

    def _read(self, graph: GraphProto) -> None:
        self.nodes += graph.node
        for value in (*graph.input, *graph.output, *graph.value_info):
            tensor = value.type.tensor_type
            if tensor.elem_type:
                self._types[value.name] = tensor.elem_type
            if tensor.HasField("shape"):
                self._shapes[value.name] = tuple(
                    side.dim_value if side.HasField("dim_value") else None
                    for side in tensor.shape.dim
                )
        for tensor in graph.initializer:
            self._types[tensor.name] = tensor.data_type
            self._shapes[tensor.name] = tuple(tensor.dims)
            self._constants[tensor.name] = tensor
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t

    def type(self, name: str) -> str | None:
        """Returns TensorRT's name for the type of a tensor, or ONNX's name if it has none."""
        if name not in self._types:
            return None
        word: str = self._onnx.TensorProto.DataType.Name(self._types[name])
        return _WORDS.get(word, word)

    def rank(self, name: str) -> int | None:
        """Returns the number of dimensions of a tensor; None if unknown."""
        return len(self._shapes[name]) if name in self._shapes else None

    def constant(self, name: str) -> Array | None:
        """Returns the values of a tensor that is stored in the model; ``None`` for any other."""
        if name not in self._constants:
            return None
        values: Array = self._onnx.numpy_helper.to_array(self._constants[name])
        return values

    def producer(self, name: str) -> NodeProto | None:
        """Returns the node that produces a tensor."""
        return self._producers.get(name)

    def consumers(self, name: str) -> list[NodeProto]:
        """Returns the nodes that read a tensor."""
        return [node for node in self.nodes if name in node.input]

    def attribute(self, node: NodeProto, name: str, default: T) -> T:
        """Returns an attribute of a node, or ``default``."""
        for attribute in node.attribute:
            if attribute.name == name:
                found = self._onnx.helper.get_attribute_value(attribute)
                return cast("T", found.decode() if isinstance(found, bytes) else found)
        return default


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _graphs(inner)
