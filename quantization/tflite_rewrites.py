"""Operators in a TFLite file of integers for which XNNPACK has faster ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.quantization.tflite_graph import package
from edgekit.runtime.types import Array

__all__ = ["LOGITS", "PARTS", "rewritten"]

LOGITS = 6.0
"""Scores between sigmoid(-6) = 0.0025 and sigmoid(6) = 0.9975 are what a heatmap is read for."""

PARTS = ("lower", "upper")
"""What is added to the name of a convolution that was split."""

_IDENTIFIER = b"TFL3"
_STEPS = 255


def rewritten(content: bytes, finer: Mapping[str, tuple[float, float]]) -> bytes:
    """A file that computes faster, or more finely.

    Args:
        content: The file.
        finer: By the name of what a last convolution gives, its lowest value, and the one from
            which on it is given more finely; below zero both.

    Nearest upsampling to twice the size becomes copies of columns, then of rows, to the same
    values. XNNPACK has no such resizing: around each it would end and begin anew.
    """
    file = _File(content)
    for operator in file.of_kind("RESIZE_NEAREST_NEIGHBOR"):
        if file.doubles(operator):
            file.replace(operator, _copies(file, operator))
    for operator in file.of_kind("CONV_2D"):
        if file.name(operator.outputs[0]) in finer:
            low, knee = finer[file.name(operator.outputs[0])]
            _split(file, operator, low, knee)
    return file.packed()


def _copies(file: _File, operator: Any) -> list[Any]:
    """Operators that write each pixel twice beside itself, then each row twice."""
    read, given = int(operator.inputs[0]), int(operator.outputs[0])
    batch, height, width, channels = file.shape(read)
    across = file.like(given, (batch, height, width, 2 * channels), "columns")
    row = file.like(given, (batch, height, 1, 2 * width * channels), "row")
    rows = file.like(given, (batch, height, 2, 2 * width * channels), "rows")
    return [
        file.concatenation([read, read], across, 3),
        file.reshape(across, row),
        file.concatenation([row, row], rows, 2),
        file.reshape(rows, given),
    ]


def _split(file: _File, operator: Any, low: float, knee: float) -> None:
    """Makes of a convolution the sum of two, by what integers saturate at.

    One gives ``min(y - knee, 0)``, the other ``max(y, knee)``; their sum is ``y``.
    """
    given = int(operator.outputs[0])
    (widening,) = file.readers(given)
    result = int(widening.outputs[0])
    step, zero = file.step(given)
    high = step * (127 - zero)
    lower, upper = (file.like(given, None, part) for part in PARTS)
    step = (high - knee) / _STEPS
    zero = round(-128 - knee / step)
    # Where one ends the other has to begin, and integers end at a multiple of their step.
    knee = step * (-128 - zero)
    file.set_step(upper, step, zero)
    file.set_step(lower, (knee - low) / _STEPS, 127)
    floats = [file.like(result, None, f"{part}.float") for part in PARTS]
    file.replace(
        operator,
        [file.moved(operator, lower, -knee), file.moved(operator, upper, 0.0)],
    )
    widened = [
        file.with_ends(widening, [part], [float_])
        for part, float_ in zip((lower, upper), floats, strict=True)
    ]
    file.replace(widening, [*widened, file.addition(floats, result)])


class _File:
    """A model file that can be changed.

    Args:
        content: As it is stored.
    """

    def __init__(self, content: bytes) -> None:
        self._schema = package("ai_edge_litert.schema_py_generated")
        self._model = self._schema.ModelT.InitFromPackedBuf(content, 0)
        for buffer in self._model.buffers:
            if buffer.offset > 1:  # behind the tables
                stored = content[buffer.offset : buffer.offset + buffer.size]
                buffer.data, buffer.offset, buffer.size = np.frombuffer(stored, np.uint8), 0, 0
        self._graph = self._model.subgraphs[0]
        self._kinds = {code: name for name, code in vars(self._schema.BuiltinOperator).items()}

    def packed(self) -> bytes:
        """As it is stored now."""
        builder = package("flatbuffers").Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    def of_kind(self, kind: str) -> list[Any]:
        """Operators of one kind, in the order of computation."""
        codes = [self._kinds[_code(code)] for code in self._model.operatorCodes]
        return [o for o in self._graph.operators if codes[o.opcodeIndex] == kind]

    def readers(self, tensor: int) -> list[Any]:
        """The operators that work on a tensor."""
        return [o for o in self._graph.operators if tensor in o.inputs]

    def name(self, tensor: int) -> str:
        """Of a tensor."""
        return str(self._graph.tensors[tensor].name.decode())

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Of a tensor."""
        return tuple(int(side) for side in self._graph.tensors[tensor].shape)

    def step(self, tensor: int) -> tuple[float, int]:
        """Scale and zero point of a tensor of integers."""
        found = self._graph.tensors[tensor].quantization
        return float(found.scale[0]), int(found.zeroPoint[0])

    def set_step(self, tensor: int, scale: float, zero: int) -> None:
        """Gives a tensor of integers a scale and a zero point of its own."""
        made = self._schema.QuantizationParametersT()
        made.scale, made.zeroPoint = np.array([scale], np.float32), np.array([zero], np.int64)
        self._graph.tensors[tensor].quantization = made

    def doubles(self, operator: Any) -> bool:
        """Whether a RESIZE_NEAREST_NEIGHBOR repeats each pixel twice on both sides."""
        before, after = self.shape(operator.inputs[0]), self.shape(operator.outputs[0])
        options = operator.builtinOptions
        # What lies at corners spreads otherwise; half pixels round to the same two.
        return (
            before[0] == 1
            and not options.alignCorners
            and after[1:3]
            == (
                2 * before[1],
                2 * before[2],
            )
        )

    def like(self, tensor: int, shape: Sequence[int] | None, suffix: str) -> int:
        """A new tensor of the type and scale of another; by default of its shape."""
        made = copy.copy(self._graph.tensors[tensor])
        made.name, made.buffer = made.name + f":{suffix}".encode(), 0
        made.shape = np.array(made.shape if shape is None else shape, np.int32)
        made.shapeSignature = None
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def constant(self, like: int, values: Array, suffix: str) -> int:
        """A new constant with the scales of another tensor."""
        place = self.like(like, values.shape, suffix)
        self._put(place, values)
        return place

    def concatenation(self, inputs: Sequence[int], output: int, axis: int) -> Any:
        """An operator that lays tensors side by side."""
        options = self._schema.ConcatenationOptionsT()
        options.axis = axis
        return self._operator("CONCATENATION", inputs, output, options, "ConcatenationOptions", 2)

    def reshape(self, read: int, output: int) -> Any:
        """An operator that reads a tensor in another shape."""
        options = self._schema.ReshapeOptionsT()
        options.newShape = np.array(self.shape(output), np.int32)
        sides = self._schema.TensorT()
        sides.name, sides.type = b"shape", self._schema.TensorType.INT32
        self._graph.tensors.append(sides)
        place = len(self._graph.tensors) - 1
        sides.shape = np.array([len(options.newShape)], np.int32)
        self._put(place, options.newShape)
        return self._operator("RESHAPE", [read, place], output, options, "ReshapeOptions", 1)

    def addition(self, inputs: Sequence[int], output: int) -> Any:
        """An operator that adds two tensors."""
        options = self._schema.AddOptionsT()
        return self._operator("ADD", inputs, output, options, "AddOptions", 1)

    def with_ends(self, operator: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
        """The operator, at work on other tensors."""
        made = copy.copy(operator)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        return made

    def moved(self, operator: Any, output: int, by: float) -> Any:
        """The convolution, with ``by`` added to all that it gives."""
        read, weights, bias = (int(place) for place in operator.inputs)
        tensor = self._graph.tensors[bias]
        data = np.asarray(self._model.buffers[tensor.buffer].data, np.uint8).view(np.int32)
        steps = np.rint(by / np.asarray(tensor.quantization.scale, np.float64))
        place = self.constant(bias, (data + steps).astype(np.int32), f"{output}")
        return self.with_ends(operator, [read, weights, place], [output])

    def replace(self, operator: Any, others: Sequence[Any]) -> None:
        """Puts operators where another was."""
        found = [other is operator for other in self._graph.operators].index(True)
        self._graph.operators[found : found + 1] = others

    def _put(self, tensor: int, values: Array) -> None:
        buffer = self._schema.BufferT()
        buffer.data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        self._model.buffers.append(buffer)
        self._graph.tensors[tensor].buffer = len(self._model.buffers) - 1

    def _operator(
        self,
        kind: str,
        inputs: Sequence[int],
        output: int,
        options: Any,
        options_kind: str,
        version: int,
    ) -> Any:
        made = self._schema.OperatorT()
        made.opcodeIndex = self._opcode(kind, version)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        made.builtinOptions = options
        made.builtinOptionsType = getattr(self._schema.BuiltinOptions, options_kind)
        return made

    def _opcode(self, kind: str, version: int) -> int:
        wanted = getattr(self._schema.BuiltinOperator, kind)
        codes = self._model.operatorCodes
        for place, code in enumerate(codes):
            if _code(code) == wanted and code.version >= version:
                return place
        made = self._schema.OperatorCodeT()
        made.builtinCode, made.version = wanted, version
        made.deprecatedBuiltinCode = min(wanted, 127)
        codes.append(made)
        return len(codes) - 1


def _code(code: Any) -> int:
    """The older of the two fields holds no more than 127."""
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))
