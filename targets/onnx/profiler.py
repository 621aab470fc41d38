"""DEVICE. Reads the time of each operator from ONNX Runtime's profiler."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgeKitError
from edgekit.files.output_paths import temporary_folder, writing
from edgekit.measuring.operator_times import OperatorProfiler, OperatorTime
from edgekit.runtime.types import Array
from edgekit.targets.onnx.graph_file import Weight, read_weights

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

__all__ = ["onnx_profiler"]

_SUFFIX = "_kernel_time"
_ADDED = re.compile(r"_nchwc$|(_token_\d+)+$")
"""Endings that ONNX Runtime's optimizations give to names, which change from version to version."""

_CONVOLUTIONS = ("Conv", "QLinearConv", "FusedConv", "ConvInteger", "DeformConv", "NhwcFusedConv")
_PRODUCTS = ("MatMul", "Gemm")


@contextmanager
def onnx_profiler(
    options: SessionOptions, content: bytes, providers: Sequence[str], outputs: Sequence[str]
) -> Iterator[OperatorProfiler]:
    """Opens a model in a session of its own that writes a profile.

    Args:
        options: ``onnxruntime.SessionOptions`` of that session; this function changes it.
        content: Model.
        providers: Execution providers.
        outputs: Names of the outputs.

    Raises:
        OutputError: The folder for temporary files is not writable.
    """
    with temporary_folder() as place, writing(place.parent):
        yield _OnnxProfiler(options, content, providers, outputs, place)


class _OnnxProfiler(OperatorProfiler):
    """Runs a model on a session that profiles, and reads the file that ONNX Runtime writes."""

    def __init__(
        self, options: Any, content: bytes, providers: Any, outputs: Any, place: Path
    ) -> None:
        from edgekit.system.telemetry import import_onnxruntime

        options.enable_profiling = True
        options.profile_file_prefix = str(place / "profile")
        # The profile does not tell the shapes of weights that kernels have packed; this file does.
        self._optimized = place / "optimized.onnx"
        options.optimized_model_filepath = str(self._optimized)
        self._session: Any = import_onnxruntime().InferenceSession(
            content, options, providers=list(providers)
        )
        self._outputs = list(outputs)

    def run(self, inputs: Mapping[str, Array]) -> None:
        """Runs the model once."""
        self._session.run(self._outputs, dict(inputs))

    def finish(self, skipped: int) -> list[list[OperatorTime]]:
        """Returns the operators of every run; raises ``EdgeKitError`` if there is no profile."""
        try:
            events = json.loads(Path(self._session.end_profiling()).read_bytes())
            weights = read_weights(self._optimized.read_bytes())
        except (OSError, ValueError) as error:
            raise EdgeKitError(
                f"ONNX Runtime wrote no profile that can be read: {error}.",
                hint="Free some space in the folder for temporary files, and measure again.",
            ) from error
        return _read_profile(events, weights)[skipped:]


def _read_profile(
    events: Sequence[Mapping[str, Any]], weights: Mapping[str, Sequence[Weight]]
) -> list[list[OperatorTime]]:
    """Returns the operators of every run that a profile describes.

    Args:
        events: Events of ONNX Runtime's profile.
        weights: Constant inputs of each node, by its name.
    """
    runs = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == "model_run")
    found: list[list[OperatorTime]] = [[] for _ in runs]
    nodes = [e for e in events if e["cat"] == "Node" and e["name"].endswith(_SUFFIX)]
    place = 0
    for event in sorted(nodes, key=lambda event: event["ts"]):
        while place < len(runs) and event["ts"] > runs[place][1]:
            place += 1
        if place < len(runs) and event["ts"] >= runs[place][0]:
            found[place].append(_operator(event, weights))
    return found


def _operator(event: Mapping[str, Any], weights: Mapping[str, Sequence[Weight]]) -> OperatorTime:
    name, facts = event["name"].removesuffix(_SUFFIX), event["args"]
    constant = weights.get(name, ())
    moved = int(facts["activation_size"]) + int(facts["output_size"])
    return OperatorTime(
        name=_ADDED.sub("", name),
        type=facts["op_name"],
        ms=event["dur"] / 1e3,
        macs=_macs(facts, constant),
        bytes=moved + sum(weight.bytes for weight in constant),
    )


def _macs(facts: Mapping[str, Any], constant: Sequence[Weight]) -> int:
    """Returns the number of multiply-adds, from the shapes of inputs, weights and outputs."""
    kind = facts["op_name"]
    made = math.prod(_shape(facts["output_type_shape"][0]))
    kernel = next((weight.shape for weight in constant if len(weight.shape) > 2), None)
    if kernel and kind in _CONVOLUTIONS:
        return made // kernel[0] * math.prod(kernel)
    if kernel and "ConvTranspose" in kind:
        return math.prod(_shape(facts["input_type_shape"][0])) // kernel[0] * math.prod(kernel)
    if any(word in kind for word in _PRODUCTS):
        return made * (_shape(facts["input_type_shape"][0]) or [0])[-1]
    return 0


def _shape(facts: Mapping[str, list[int]]) -> list[int]:
    return next(iter(facts.values()))
