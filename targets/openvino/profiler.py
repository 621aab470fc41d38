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
    """Runs a compiled model that counts, and reads its counters after every inference.

    The counters are means over all inferences so far, rounded to microseconds. The mean without the
    first ones follows from two of them; the times of single inferences would be too coarse.
    """

    def __init__(self, model: Any) -> None:
        self._request = model.create_infer_request()
        self._work = _work_of(model)
        self._means: list[dict[str, tuple[str, float]]] = []

    def run(self, inputs: Mapping[str, Array]) -> None:
        """Runs the model once, and copies its outputs as a session does."""
        self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)

    def read(self) -> None:
        """Stores type and mean milliseconds of each operator so far, by its name."""
        self._means.append({
            counter.node_name: (counter.node_type, 1e3 * counter.real_time.total_seconds())
            for counter in self._request.get_profiling_info()
            if counter.status == counter.Status.EXECUTED
        })  # fmt: skip

    def finish(self, skipped: int) -> list[list[OperatorTime]]:
        """Returns the means over the runs that are not left out."""
        count = len(self._means)
        before = self._means[skipped - 1] if skipped else {}
        found = []
        for name, (kind, mean) in self._means[-1].items():
            _, earlier = before.get(name, (kind, 0.0))
            work = self._work.get(name)
            found.append(
                OperatorTime(
                    name=name,
                    type=work.type if work else kind,
                    ms=max(0.0, count * mean - skipped * earlier) / (count - skipped),
                    macs=work.macs if work else None,
                    bytes=work.bytes if work else None,
                )
            )
        return [found]


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
