"""Tests that rewritten TFLite files give the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle import Bundle
from edgekit.quantization.tflite.rewrites import rewritten
from edgekit.targets.tflite.structure import check_structure

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")


def tensor(name: str, kind: int, shape: tuple[int, ...], buffer: int, scale: float = 0.0) -> Any:
    made = schema.TensorT()
    made.name, made.type, made.buffer = name.encode(), kind, buffer
    made.shape = np.array(shape, np.int32)
    if scale:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.array([scale], np.float32)
        made.quantization.zeroPoint = np.array([0], np.int64)
    return made


def operator(code: int, inputs: list[int], outputs: list[int]) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex = code
    made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    return made


def code_of(kind: str) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = made.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    made.version = 3
    return made


def packed(tensors: list[Any], data: list[Any], operators: list[Any], codes: list[str]) -> bytes:
    import flatbuffers

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.operatorCodes = [code_of(kind) for kind in codes]
    model.buffers = []
    for values in (None, *data):
        buffer = schema.BufferT()
        buffer.data = None if values is None else values.reshape(-1).view(np.uint8)
        model.buffers.append(buffer)
    graph.tensors, graph.operators, graph.name = tensors, operators, b"main"
    graph.inputs = np.array([0], np.int32)
    graph.outputs = np.array([len(tensors) - 1], np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def resizing(shape: tuple[int, int, int], size: tuple[int, int], halves: bool) -> bytes:
    types = schema.TensorType
    made = operator(0, [0, 1], [2])
    made.builtinOptionsType = schema.BuiltinOptions.ResizeNearestNeighborOptions
    made.builtinOptions = schema.ResizeNearestNeighborOptionsT()
    made.builtinOptions.halfPixelCenters = halves
    return packed(
        [
            tensor("read", types.FLOAT32, (1, *shape), 0),
            tensor("size", types.INT32, (2,), 1),
            tensor("given", types.FLOAT32, (1, *size, shape[2]), 0),
        ],
        [np.array(size, np.int32)],
        [made],
        ["RESIZE_NEAREST_NEIGHBOR"],
    )


def run(content: bytes, values: Any) -> tuple[Any, list[str]]:
    """What a model gives, and the kinds of its operators."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    kinds = [operator["op_name"] for operator in interpreter._get_ops_details()]
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), kinds


@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4)),
    st.sampled_from([(1, 2), (2, 1), (2, 2), (3, 3)]),
    st.booleans(),
)
def test_upsampling_gives_the_same_values(
    shape: tuple[int, int, int], times: tuple[int, int], halves: bool
) -> None:
    content = resizing(shape, (shape[0] * times[0], shape[1] * times[1]), halves)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
    expected, _ = run(content, values)
    found, kinds = run(rewritten(content), values)
    np.testing.assert_array_equal(found, expected)
    assert ("RESIZE_NEAREST_NEIGHBOR" in kinds) == (times != (2, 2))


def test_network_keeps_its_values_and_structure(lite: Bundle) -> None:
    content = rewritten(lite.model_path.read_bytes())
    check_structure(content)
    height, width = lite.manifest.input.height, lite.manifest.input.width
    values = np.random.default_rng(1).normal(size=(1, 6, height, width)).astype(np.float32)
    expected, _ = run(lite.model_path.read_bytes(), values)
    found, kinds = run(content, values)
    np.testing.assert_array_equal(found, expected)
    assert kinds.count("CONCATENATION") == 4
