"""DEVICE. Measures the time of each layer of a model on ncnn, whose package has no profiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from edgekit.measuring.operator_times import OperatorProfiler, OperatorTime
from edgekit.runtime.types import Array
from edgekit.targets.ncnn.network import NcnnNetwork
from edgekit.targets.ncnn.param import NcnnLayer
from edgekit.targets.ncnn.structure import Structure, multiply_adds

__all__ = ["NcnnProfiler"]

_WITHOUT_WORK = ("Input", "Split")
_FLOAT_BYTES = 4


class NcnnProfiler(OperatorProfiler):
    """Runs a model layer by layer.

    Args:
        network: The loaded model.
        structure: Its layers and the sizes of its blobs.
        outputs: Names of the blobs that a session returns.
    """

    def __init__(self, network: NcnnNetwork, structure: Structure, outputs: Sequence[str]) -> None:
        self._network, self._outputs = network, outputs
        self._layers = [each for each in structure.layers if each.kind not in _WITHOUT_WORK]
        self._work = [_work_of(layer, structure) for layer in self._layers]
        self._runs: list[list[float]] = []

    def run(self, inputs: Mapping[str, Array]) -> None:
        """Runs the model once."""
        self._runs.append(self._network.time_layers(inputs, self._layers, self._outputs))

    def finish(self, skipped: int) -> list[list[OperatorTime]]:
        """Returns the layers of every run."""
        return [
            [msgspec.structs.replace(work, ms=ms) for work, ms in zip(self._work, run, strict=True)]
            for run in self._runs[skipped:]
        ]


def _work_of(layer: NcnnLayer, structure: Structure) -> OperatorTime:
    """Returns a layer and its work, without a time."""
    blobs = [structure.blobs[name] for name in (*layer.inputs, *layer.outputs)]
    moved = sum(blob.values * blob.bits // 8 for blob in blobs)
    weights = (each for each in structure.weights if each.layer == layer.name)
    moved += sum(each.count * (1 if each.integer else _FLOAT_BYTES) for each in weights)
    return OperatorTime(
        name=layer.name, type=layer.kind, ms=0.0, macs=multiply_adds(structure, layer), bytes=moved
    )
