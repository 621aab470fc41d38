"""HOST. An ONNX model as the checker reads it: types, ranks, constants, who makes what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgekit.errors import BundleError, MissingDependencyError
from edgekit.runtime.types import Array

__all__ = ["Graph"]

_WORDS = {
    "FLOAT": "FP32",
    "FLOAT16": "FP16",
    "BFLOAT16": "BF16",
    "DOUBLE": "FP64",
}


class Graph:
    """A model, with the graphs inside its nodes laid open.

    Args:
        path: An ONNX file.

    Attributes:
        nodes: All of them, those of inner graphs too.
        inputs: The network's inputs, name to shape; ``None`` is a side that is not fixed.
        outputs: Names of the network's outputs.
        opset: Of ONNX's own operators; 0 where the model names none.

    Raises:
        MissingDependencyError: onnx is not installed.
        BundleError: There is no such file, or it is no ONNX model.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingDependencyError.for_extra("onnx", "host", "Checking a model") from error
        self._onnx = onnx
        try:
            model = onnx.load(str(path))
            # The stricter onnx.checker would stop at the first operator that it does not know.
            model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except Exception as error:  # protobuf's and onnx's exceptions have no common base
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{path} is not an ONNX model: {reason}") from error
        if not model.graph.node:
            raise BundleError(f"{path} is not an ONNX model: it has no nodes.")
        self.opset = next((s.version for s in model.opset_import if not s.domain), 0)
        self.nodes: list[Any] = []
        self._types: dict[str, int] = {}
        self._shapes: dict[str, tuple[int | None, ...]] = {}
        self._constants: dict[str, Any] = {}
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

    def _read(self, graph: Any) -> None:
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
        """TensorRT's word for the type of a tensor, or ONNX's where it has none."""
        if name not in self._types:
            return None
        word: str = self._onnx.TensorProto.DataType.Name(self._types[name])
        return _WORDS.get(word, word)

    def rank(self, name: str) -> int | None:
        """How many dimensions a tensor has, where that is known."""
        return len(self._shapes[name]) if name in self._shapes else None

    def constant(self, name: str) -> Array | None:
        """The values of a tensor that is stored in the model; ``None`` for any other."""
        if name not in self._constants:
            return None
        values: Array = self._onnx.numpy_helper.to_array(self._constants[name])
        return values

    def producer(self, name: str) -> Any | None:
        """The node that makes a tensor."""
        return self._producers.get(name)

    def consumers(self, name: str) -> list[Any]:
        """The nodes that read a tensor."""
        return [node for node in self.nodes if name in node.input]

    def attribute(self, node: Any, name: str, default: Any) -> Any:
        """An attribute of a node."""
        for attribute in node.attribute:
            if attribute.name == name:
                found = self._onnx.helper.get_attribute_value(attribute)
                return found.decode() if isinstance(found, bytes) else found
        return default


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _graphs(inner)
