"""DEVICE. Reads the time of each operator from OpenVINO's performance counters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from edgekit.measuring.operator_times import OperatorProfiler, OperatorTime
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from openvino import CompiledModel

__all__ = ["openvino_profiler"]

_KERNEL_PLACE = {"Convolution": 1, "Deconvolution": 1, "DeformableConvolution": 2}
"""Number of the input with the kernel, by the type of the operator."""

_PRODUCTS = ("MatMul", "FullyConnected")


class _Work(NamedTuple):
    type: str
    macs: int
    bytes: int


@contextmanager
def openvino_profiler(model: CompiledModel) -> Iterator[OperatorProfiler]:
    """Makes a profiler of an ``openvino.CompiledModel`` that counts (PERF_COUNT)."""
    yield _OpenVinoProfiler(model)


class _OpenVinoProfiler(OperatorProfiler):
    """Runs a compiled model that counts, and reads its counters after every inference."""

    def __init__(self, model: Any) -> None:
        self._request = model.create_infer_request()
        self._work = _work_of(model)
        self._runs: list[list[OperatorTime]] = []

    def run(self, inputs: Mapping[str, Array]) -> None:
        """Runs the model once, and copies its outputs as a session does."""
        self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)

    def read(self) -> None:
        """Stores the counters of the last run."""
        found = []
        for counter in self._request.get_profiling_info():
            if counter.status != counter.Status.EXECUTED:
                continue
            work = self._work.get(counter.node_name)
            found.append(
                OperatorTime(
                    name=counter.node_name,
                    type=work.type if work else counter.node_type,
                    ms=1e3 * counter.real_time.total_seconds(),
                    macs=work.macs if work else None,
                    bytes=work.bytes if work else None,
                )
            )
        self._runs.append(found)

    def finish(self) -> list[list[OperatorTime]]:
        """Returns the operators of every run."""
        return self._runs


def _work_of(model: Any) -> dict[str, _Work]:
    """Returns the work of each operator of a compiled model; empty if the device hides them."""
    try:
        operators = model.get_runtime_model().get_ops()
    except RuntimeError:
        return {}
    found = {}
    for operator in operators:
        kind = str(operator.get_rt_info()["layerType"].value)
        ports = [port.get_source_output() for port in operator.inputs()]
        shapes = [tuple(port.get_shape()) for port in ports]
        made = [tuple(port.get_shape()) for port in operator.outputs()]
        moved = sum(map(_bytes, (*ports, *operator.outputs())))
        found[operator.get_friendly_name()] = _Work(kind, _macs(kind, shapes, made), moved)
    return found


def _macs(kind: str, given: list[tuple[int, ...]], made: list[tuple[int, ...]]) -> int:
    """Returns the number of multiply-adds, from the shapes of inputs and outputs."""
    place = _KERNEL_PLACE.get(kind)
    if place is not None and place < len(given) and made:
        places = given[0] if kind == "Deconvolution" else made[0]
        return places[0] * math.prod(places[2:]) * math.prod(given[place])
    if kind in _PRODUCTS and made and given[0]:
        return math.prod(made[0]) * given[0][-1]
    return 0


def _bytes(port: Any) -> int:
    return int(math.prod(port.get_shape()) * port.get_element_type().bitwidth) // 8
