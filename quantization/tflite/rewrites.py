"""Rewrites operators of an INT8 TFLite file for which XNNPACK has faster ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekit.quantization.tflite._tables import kinds_of, pack, schema, unpack
from edgekit.runtime.types import Array

__all__ = ["rewritten"]


def rewritten(content: bytes) -> bytes:
    """Returns a file that computes the same values faster.

    Nearest-neighbour upsampling to twice the size becomes copies of columns, then of rows. XNNPACK
    does not support such a resize, and would be interrupted at each one.

    Args:
        content: Content of the model file.
    """
    file = _ModelFile(content)
    for operator in file.of_kind("RESIZE_NEAREST_NEIGHBOR"):
        if file.doubles(operator):
            file.replace(operator, _copies(file, operator))
    return file.packed()


def _copies(file: _ModelFile, operator: Any) -> list[Any]:
    """Returns operators that double each pixel horizontally, then each row."""
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


class _ModelFile:
    """A model file that can be changed.

    Args:
        content: Content of the file.
    """

    def __init__(self, content: bytes) -> None:
        self._schema = schema()
        self._model = unpack(content)
        self._graph = self._model.subgraphs[0]

    def packed(self) -> bytes:
        """Returns the content of the changed file."""
        return pack(self._model)

    def of_kind(self, kind: str) -> list[Any]:
        """Returns the operators of one kind, in the order of computation."""
        kinds = kinds_of(self._model)
        return [o for o in self._graph.operators if kinds[o.opcodeIndex] == kind]

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Returns the shape of a tensor."""
        return tuple(int(side) for side in self._graph.tensors[tensor].shape)

    def doubles(self, operator: Any) -> bool:
        """Returns whether a RESIZE_NEAREST_NEIGHBOR repeats each pixel twice in both directions."""
        before, after = self.shape(operator.inputs[0]), self.shape(operator.outputs[0])
        options = operator.builtinOptions
        # Aligned corners distribute pixels differently; half-pixel centres give the same result.
        doubled = after[1:3] == (2 * before[1], 2 * before[2])
        return before[0] == 1 and doubled and not options.alignCorners

    def like(self, tensor: int, shape: Sequence[int], suffix: str) -> int:
        """Adds a tensor with the type and scale of another; returns its index."""
        made = copy.copy(self._graph.tensors[tensor])
        made.name, made.buffer = made.name + f":{suffix}".encode(), 0
        made.shape = np.array(shape, np.int32)
        made.shapeSignature = None
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def concatenation(self, inputs: Sequence[int], output: int, axis: int) -> Any:
        """Returns an operator that concatenates tensors."""
        options = self._schema.ConcatenationOptionsT()
        options.axis = axis
        return self._operator("CONCATENATION", inputs, output, options, "ConcatenationOptions", 2)

    def reshape(self, read: int, output: int) -> Any:
        """Returns an operator that reshapes a tensor."""
        options = self._schema.ReshapeOptionsT()
        options.newShape = np.array(self.shape(output), np.int32)
        sides = self._schema.TensorT()
        sides.name, sides.type = b"shape", self._schema.TensorType.INT32
        self._graph.tensors.append(sides)
        place = len(self._graph.tensors) - 1
        sides.shape = np.array([len(options.newShape)], np.int32)
        self._put(place, options.newShape)
        return self._operator("RESHAPE", [read, place], output, options, "ReshapeOptions", 1)

    def replace(self, operator: Any, others: Sequence[Any]) -> None:
        """Inserts operators in place of another one."""
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
        codes = self._model.operatorCodes
        for place, (code, found) in enumerate(zip(codes, kinds_of(self._model), strict=True)):
            if found == kind and code.version >= version:
                return place
        wanted = getattr(self._schema.BuiltinOperator, kind)
        made = self._schema.OperatorCodeT()
        made.builtinCode, made.version = wanted, version
        made.deprecatedBuiltinCode = min(wanted, 127)
        codes.append(made)
        return len(codes) - 1
