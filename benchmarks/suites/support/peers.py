"""Quantizes a float model by each inference runtime's own quantizer, and by variants of EdgeKit's.

A variant takes min-max ranges, or rounds weights to the nearest integer, with or without a
correction of the biases."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias
from unittest import mock

import numpy as np

from edgekit.bundle import Bundle
from edgekit.calibration.samples import Samples
from edgekit.errors import MissingDependencyError
from edgekit.quantization.base import Recipe
from edgekit.quantization.registry import quantizer
from edgekit.quantization.rounding.compensation import LARGEST
from edgekit.quantization.rounding.integer_weights import Convolution
from edgekit.runtime.types import Array
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.openvino.importing import import_from_extra, import_openvino

__all__ = ["PEERS", "Peer"]

_PURPOSE = "Comparing quantizers"

Peer: TypeAlias = Callable[[Bundle, Samples, Path], tuple[str, ...]]
"""Function that writes a model into an empty folder; returns its files, the model first."""


def _static(
    bundle: Bundle, samples: Samples, folder: Path, *, advised: bool = False
) -> tuple[str, ...]:
    try:
        import_onnxruntime()
        from onnxruntime.quantization import QuantType, quantize_static
    except ImportError as error:
        raise MissingDependencyError.for_extra("onnx", "host", _PURPOSE) from error
    options: dict[str, Any] = {}
    if advised:
        options = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        options |= {"per_channel": True, "reduce_range": True}
    reader = SimpleNamespace(get_next=partial(next, map(dict, samples), None))
    quantize_static(str(bundle.model_path), str(folder / "model.onnx"), reader, **options)
    return ("model.onnx",)


def _nncf(bundle: Bundle, samples: Samples, folder: Path) -> tuple[str, ...]:
    openvino = import_openvino(_PURPOSE)
    nncf = import_from_extra("nncf", "openvino-host", _PURPOSE)
    model = openvino.Core().read_model(bundle.model_path)
    openvino.save_model(nncf.quantize(model, nncf.Dataset(samples, dict)), folder / "model.xml")
    return "model.xml", "model.bin"


def _litert(bundle: Bundle, samples: Samples, folder: Path) -> tuple[str, ...]:
    tools = import_from_extra("ai_edge_quantizer", "tflite-host", _PURPOSE)
    litert = import_from_extra("ai_edge_litert.interpreter", "tflite-host", _PURPOSE)
    interpreter = litert.Interpreter(str(bundle.model_path))
    (signature,) = interpreter.get_signature_list()
    tool = tools.quantizer.Quantizer(bundle.model_path.read_bytes(), tools.recipe.static_wi8_ai8())
    # Inputs and heads are still rounded, but by the model and not by its caller.
    leave = tools.algorithm_manager.AlgorithmName.NO_QUANTIZE
    for kind in (tools.qtyping.TFLOperationName.INPUT, tools.qtyping.TFLOperationName.OUTPUT):
        tool.update_quantization_recipe(".*", kind, algorithm_key=leave)
    found = tool.calibrate({signature: [dict(given) for given in samples]})
    made = tool.quantize(found, enable_progress_report=False)
    (folder / "model.tflite").write_bytes(bytes(made.quantized_model))
    return ("model.tflite",)


def _without(
    bundle: Bundle, samples: Samples, folder: Path, *, method: str = "mse", part: str = ""
) -> tuple[str, ...]:
    """Quantizes with EdgeKit, where ``part`` of the rounding of weights does nothing."""
    tool = quantizer(bundle.manifest.target)
    nothing = {"look": _look, "_compensated": _nearest}
    with tempfile.TemporaryDirectory() as statistics, ExitStack() as stack:
        if part:
            stack.enter_context(mock.patch.object(Convolution, part, nothing[part]))
        tool.calibrate(bundle, samples, Path(statistics))
        return tool.quantize(bundle, Path(statistics), Recipe(method=method), folder).files


def _look(layer: Convolution, values: Array, sample: int) -> None:
    """Leaves a layer without statistics, so that its weights and biases are not corrected."""


def _nearest(layer: Convolution, scale: Array) -> Array:
    """Returns the nearest integers, so that only the biases are corrected."""
    steps = layer._weights / scale[:, None, None, None]
    return np.rint(steps).clip(-LARGEST, LARGEST)


_PARTS: dict[str, Peer] = {
    "EdgeKit, min-max ranges": partial(_without, method="minmax"),
    "EdgeKit, nearest rounding with bias correction": partial(_without, part="_compensated"),
    "EdgeKit, nearest rounding": partial(_without, part="look"),
}

PEERS: dict[str, dict[str, Peer]] = {
    "onnx": {
        **_PARTS,
        "`quantize_static`, defaults": _static,
        "`quantize_static`, settings for no VNNI": partial(_static, advised=True),
    },
    "openvino": {**_PARTS, "`nncf.quantize`, defaults": _nncf},
    "ncnn": dict(_PARTS),  # its own quantizer is a C++ program, in no wheel
    "tflite": {**_PARTS, "ai-edge-quantizer, `static_wi8_ai8`": _litert},
}
"""Quantizers of each target, by the name of their row."""
