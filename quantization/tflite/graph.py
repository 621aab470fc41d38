"""Reads the structure of a TFLite file: its layers, and which of them can be quantized.

Which of these stay float because of their loss is decided by ``quantization.search``.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import BundleError
from edgekit.quantization.tflite._tables import kinds_of, schema, unpack
from edgekit.targets.base import reason_of
from edgekit.targets.tflite.structure import check_structure

__all__ = ["CASCADE", "DECODE", "Operator", "TFLiteGraph"]

_DATA = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}
"""Index of the data input of each operator with weights; the weights are input 1."""
_MOVING = ("PAD", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE")

CASCADE = "edgekit.models.cascade_graph.CascadeGraph_"
DECODE = "edgekit.models.graph.DecodeGraph_"
_DEFORMABLE = "edgekit.models.dcn.DeformConv2d_"


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator; a layer if it has weights.

    Attributes:
        name: Name of its output tensor.
        kind: TFLite name of the operator.
        macs: Number of multiply-accumulate operations of a layer; 0 for other operators.
        weights: Type of its constant weights; empty if there are none.
        scope: Name in ai-edge-quantizer: the names of all outputs, each followed by ``;``.
        given: Names of its float inputs that are not constant.
        outside: Whether it must stay float.
    """

    name: str
    kind: str
    macs: int
    weights: str
    scope: str
    given: tuple[str, ...]
    outside: bool


class TFLiteGraph:
    """The operators and tensors of a model file.

    Args:
        path: Model file to read.

    Attributes:
        operators: All operators in the order of computation.
        layers: Operators that can be quantized, which are those with weights.
        last: Names of the layers that produce the network's outputs.
        activations: Names of all float tensors that are inputs or computed.
        padded: Names of tensors that are padded with the lowest possible number.

    Raises:
        MissingDependencyError: ai-edge-litert is not installed.
        BundleError: The file is not a TFLite file.
    """

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
            check_structure(content)
            model = unpack(content)
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{path} is not a TFLite file: {reason_of(error)}",
                hint="Export it again: edgekit export CHECKPOINT --target tflite",
            ) from error
        types = {code: name for name, code in vars(schema().TensorType).items()}
        self._kinds = kinds_of(model)
        graph = model.subgraphs[0]
        self._names = [tensor.name.decode() for tensor in graph.tensors]
        self._shapes = [tuple(int(n) for n in tensor.shape) for tensor in graph.tensors]
        self._types = [types[tensor.type] for tensor in graph.tensors]
        self._constant = [model.buffers[t.buffer].data is not None for t in graph.tensors]
        self.operators = [self._operator(operator) for operator in graph.operators]
        self.last = self._last([self._names[place] for place in graph.outputs])
        self.layers = [
            o for o in self.operators if o.weights and not o.outside and o.name not in self.last
        ]
        # The input of a max pooling is padded with the lowest possible number.
        self.padded = {o.name for o in self.operators if o.kind == "PADV2"}
        made = {int(place) for operator in graph.operators for place in operator.outputs}
        made |= {int(place) for place in graph.inputs}
        self.activations = [
            self._names[place] for place in sorted(made) if self._types[place] == "FLOAT32"
        ]

    def _operator(self, operator: Any) -> Operator:
        kind = self._kinds[operator.opcodeIndex]
        inputs = [int(place) for place in operator.inputs]
        output = int(operator.outputs[0])
        name = self._names[output]
        weighted = kind in _DATA and self._constant[inputs[1]]
        return Operator(
            name=name,
            kind=kind,
            macs=self._macs(kind, inputs, output) if weighted else 0,
            weights=self._types[inputs[1]] if weighted else "",
            scope="".join(f"{self._names[place]};" for place in operator.outputs),
            given=tuple(
                self._names[place]
                for place in inputs
                if place >= 0 and self._types[place] == "FLOAT32" and not self._constant[place]
            ),
            outside=CASCADE in name or DECODE in name or (_DEFORMABLE in name and not weighted),
        )

    def _last(self, outputs: list[str]) -> set[str]:
        """Returns names of the layers before the outputs, looking through data movement."""
        makers = {operator.name: operator for operator in self.operators}
        names = [*outputs, *(n for o in self.operators if DECODE in o.name for n in o.given)]
        found = set()
        for name in names:
            while name in makers and makers[name].kind in _MOVING and makers[name].given:
                name = makers[name].given[0]
            if name in makers and makers[name].weights:
                found.add(name)
        return found

    def scopes_kept(
        self, layers: Collection[str], ends: Collection[str] = frozenset()
    ) -> list[str]:
        """Returns the scopes of all operators that stay float.

        Args:
            layers: Names of the layers that stay float.
            ends: Names of those in ``last`` that do not stay float.

        Besides the layers, these are the operators that only lead to them. Operators without
        weights also stay float if all their inputs do.
        """
        names = {o.name for o in self.operators if o.outside} | set(layers)
        names |= self.last - set(ends)
        users: dict[str, set[str]] = {}
        for operator in self.operators:
            for name in operator.given:
                users.setdefault(name, set()).add(operator.name)
        for operator in reversed(self.operators):
            used_by = users.get(operator.name, set())
            if operator.kind in _MOVING and used_by and used_by <= names:
                names.add(operator.name)
        for operator in self.operators:
            if not operator.weights and operator.given and names.issuperset(operator.given):
                names.add(operator.name)
        return [operator.scope for operator in self.operators if operator.name in names]

    def _macs(self, kind: str, inputs: list[int], output: int) -> int:
        weights = math.prod(self._shapes[inputs[1]])
        result = self._shapes[output]
        if kind == "FULLY_CONNECTED":
            return weights * math.prod(result[:-1])
        # Each weight is used once at each position of the larger map.
        place = inputs[_DATA[kind]] if kind == "TRANSPOSE_CONV" else output
        return weights * math.prod(self._shapes[place][1:3])
