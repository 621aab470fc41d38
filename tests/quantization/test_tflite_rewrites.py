"""Rewritten TFLite files: the same values, or finer ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle import Bundle
from edgekit.quantization.tflite_rewrites import rewritten
from edgekit.targets.tflite.structure import check_structure

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

READ = 1 / 16
"""Step of what the convolution reads."""

SIDE = 16


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


def convolution(high: float, weight: int, bias: int) -> bytes:
    """A 1x1 convolution of integers of one channel, and what makes floats of it."""
    types = schema.TensorType
    given = tensor("given", types.INT8, (1, SIDE, SIDE, 1), 0, high / 100)
    given.quantization.zeroPoint = np.array([27], np.int64)
    made = operator(0, [0, 1, 2], [3])
    made.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    made.builtinOptions = schema.Conv2DOptionsT()
    made.builtinOptions.strideH = made.builtinOptions.strideW = 1
    return packed(
        [
            tensor("read", types.INT8, (1, SIDE, SIDE, 1), 0, READ),
            tensor("weights", types.INT8, (1, 1, 1, 1), 1, READ),
            tensor("bias", types.INT32, (1,), 2, READ * READ),
            given,
            tensor("floats", types.FLOAT32, (1, SIDE, SIDE, 1), 0),
        ],
        [np.array([weight], np.int8), np.array([bias], np.int32)],
        [made, operator(1, [3], [4])],
        ["CONV_2D", "DEQUANTIZE"],
    )


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
    found, kinds = run(rewritten(content, {}), values)
    np.testing.assert_array_equal(found, expected)
    assert ("RESIZE_NEAREST_NEIGHBOR" in kinds) == (times != (2, 2))


@given(
    st.floats(4, 9),
    st.floats(-60, -12),
    st.integers(-127, 127).filter(bool),
    st.integers(-20000, 5000),
)
def test_two_ranges_are_finer_than_one(high: float, low: float, weight: int, bias: int) -> None:
    read = np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE, 1) - 128
    exact = (read * weight + bias) * READ * READ
    knee = -6.0
    content = rewritten(convolution(high, weight, bias), {"given": (low, knee)})
    found, kinds = run(content, read.astype(np.int8))
    assert kinds == ["CONV_2D"] * 2 + ["DEQUANTIZE"] * 2 + ["ADD"]
    fine, coarse = (high - knee) / 255, (knee - low) / 255
    # Half a step, and what rounding of the bias and a float's digits add.
    slack = READ * READ + 1e-3
    inside = (exact > knee + fine) & (exact < high - fine)
    assert (np.abs(found - exact)[inside] <= fine / 2 + slack).all()
    below = (exact > low + coarse + fine) & (exact <= knee + fine)
    assert (np.abs(found - exact)[below] <= coarse / 2 + fine / 2 + slack).all()
    assert found.max() <= high + fine
    assert found.min() >= low - coarse - fine


def test_network_keeps_its_values_and_structure(lite: Bundle, tmp_path: Any) -> None:
    content = rewritten(lite.model_path.read_bytes(), {})
    (tmp_path / "model.tflite").write_bytes(content)
    check_structure(tmp_path / "model.tflite")
    height, width = lite.manifest.input.height, lite.manifest.input.width
    values = np.random.default_rng(1).normal(size=(1, 6, height, width)).astype(np.float32)
    expected, _ = run(lite.model_path.read_bytes(), values)
    found, kinds = run(content, values)
    np.testing.assert_array_equal(found, expected)
    assert kinds.count("CONCATENATION") == 6
