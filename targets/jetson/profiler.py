"""DEVICE. Collects the time of each layer from TensorRT's profiler."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgekit.measuring.operator_times import OperatorProfiler, OperatorTime
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from tensorrt import IExecutionContext

__all__ = ["TensorRtProfiler", "operator_type"]

_NODE = re.compile(r"^(?:\S*/)?([A-Z][A-Za-z]*)(?:_\d+)?$")
_PARTS = re.compile(r"\s\+\s|[(){}\[\],]|\.\.\.")


class TensorRtProfiler(OperatorProfiler):
    """Runs an execution context that reports the time of its layers.

    TensorRT reports their names and times, not the sizes of their tensors.

    Args:
        trt: Module ``tensorrt``.
        context: ``IExecutionContext`` that nothing else uses.
        run: Function that runs the model once on that context.
    """

    def __init__(
        self,
        trt: ModuleType,
        context: IExecutionContext,
        run: Callable[[Mapping[str, Array]], None],
    ) -> None:
        self._run = run
        self._reported: list[OperatorTime] = []
        self._runs: list[list[OperatorTime]] = []
        self._profiler = _reporting_to(trt, self._reported)
        context.profiler = self._profiler

    def run(self, inputs: Mapping[str, Array]) -> None:
        """Runs the model once; TensorRT reports its layers before the results are there."""
        self._run(inputs)

    def read(self) -> None:
        """Stores the layers of the last run."""
        self._runs.append(list(self._reported))
        self._reported.clear()

    def finish(self, skipped: int) -> list[list[OperatorTime]]:
        """Returns the layers of every run."""
        return self._runs[skipped:]


def _reporting_to(trt: ModuleType, reported: list[OperatorTime]) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[misc, name-defined]  # known at run time
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            reported.append(OperatorTime(name=layer_name, type=operator_type(layer_name), ms=ms))

    return Profiler()


def operator_type(layer: str) -> str:
    """Returns the type of a layer by its name: that of the first ONNX node in it.

    EdgeKit's nodes are named ``blocks.3.expand.0/Conv``; TensorRT joins the names of those that it
    fuses, and describes layers that it adds, as in ``Reformatting CopyNode for Input Tensor 0``.
    """
    for part in _PARTS.split(layer):
        found = _NODE.search(part.strip())
        if found:
            return found[1]
    return (layer.split() or ["unknown"])[0]
