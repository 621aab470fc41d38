"""Converts the weights of a TFLite model's convolutions to 8-bit integers.

The quantizer derives the scale of each channel from its largest weight. The weights are therefore
rounded to the steps of that scale first, and the quantizer finds exactly these integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.quantization.rounding.compensation import LARGEST
from edgekit.quantization.rounding.integer_weights import Convolution, IntegerWeights
from edgekit.quantization.tflite._tables import kinds_of, pack, schema, unpack
from edgekit.runtime.types import Array

__all__ = ["TFLiteWeights"]

_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D")


class TFLiteWeights:
    """A float model file whose weights can be changed.

    Args:
        path: Model file to read.
    """

    def __init__(self, path: Path) -> None:
        self._model = unpack(path.read_bytes())
        self._tensors = self._model.subgraphs[0].tensors
        uses = Counter(
            self._tensors[int(place)].buffer
            for graph in self._model.subgraphs
            for operator in graph.operators
            for place in operator.inputs
            if place >= 0
        )
        kinds = kinds_of(self._model)
        self._same = schema().Padding.SAME
        self._operators: dict[str, Any] = {}
        for operator in self._model.subgraphs[0].operators:
            if kinds[operator.opcodeIndex] not in _KINDS:
                continue
            weights = self._tensors[int(operator.inputs[1])]
            if self._values(weights) is not None and uses[weights.buffer] == 1:
                self._operators[self._name(operator.outputs[0])] = operator

    def convolutions(self) -> dict[str, tuple[str, Convolution]]:
        """Returns the convolutions that can be quantized and do not share their weights.

        Returns:
            The name of the input and the convolution, by the name of the output.
        """
        return {
            name: (self._name(operator.inputs[0]), self._convolution(operator))
            for name, operator in self._operators.items()
        }

    def put(self, found: Mapping[str, IntegerWeights], keep_float: Collection[str]) -> bytes:
        """Returns the file with the values of the integer weights, and corrected biases.

        Args:
            found: Integer weights by the name of a convolution's output.
            keep_float: Names of the convolutions that stay unchanged.
        """
        for name, made in found.items():
            if name in keep_float:
                continue
            inputs = self._operators[name].inputs
            values = made.floats().transpose(0, 2, 3, 1)
            weights = self._tensors[int(inputs[1])]
            if self._depthwise(self._operators[name]):
                values = values.transpose(3, 1, 2, 0)
            self._store(weights, values)
            if len(inputs) > 2 and inputs[2] >= 0:
                bias = self._tensors[int(inputs[2])]
                self._store(bias, self._values(bias) + made.shift)
        return pack(self._model)

    def _name(self, place: Any) -> str:
        return str(self._tensors[int(place)].name.decode())

    def _values(self, tensor: Any) -> Any:
        """Returns the values of a constant tensor as float32, or None if it is not constant."""
        data = self._model.buffers[tensor.buffer].data
        if data is None or not len(data):
            return None
        return np.asarray(data, np.uint8).view(np.float32).reshape(tensor.shape)

    def _store(self, tensor: Any, values: Array) -> None:
        content = np.ascontiguousarray(values, np.float32)
        self._model.buffers[tensor.buffer].data = content.reshape(-1).view(np.uint8)

    def _depthwise(self, operator: Any) -> bool:
        return hasattr(operator.builtinOptions, "depthMultiplier")

    def _convolution(self, operator: Any) -> Convolution:
        options = operator.builtinOptions
        read, weights, given = (
            self._tensors[int(place)] for place in (*operator.inputs[:2], operator.outputs[0])
        )
        values = self._values(weights)
        groups = 1
        if self._depthwise(operator):
            values, groups = values.transpose(3, 1, 2, 0), int(read.shape[3])
        values = values.transpose(0, 3, 1, 2)
        strides = (options.strideH, options.strideW)
        pads = [0, 0, 0, 0]
        if options.padding == self._same:
            for axis in (0, 1):
                reach = (given.shape[1 + axis] - 1) * strides[axis] + values.shape[2 + axis]
                total = max(int(reach - read.shape[1 + axis]), 0)
                pads[axis], pads[2 + axis] = total // 2, total - total // 2
        span = np.abs(values).reshape(len(values), -1).max(1)
        plain = options.dilationHFactor == options.dilationWFactor == 1
        return Convolution(
            values,
            groups=groups,
            strides=strides,
            pads=pads if plain else None,
            scale=np.where(span > 0, span / LARGEST, 1.0),
        )
