"""DEVICE. Runs bundles on any installed TFLite interpreter."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError
from edgekit.runtime.types import Array
from edgekit.system.cores import physical_cores
from edgekit.system.runtime_pool import RuntimePool
from edgekit.targets import base
from edgekit.targets.tflite.structure import check_structure

if TYPE_CHECKING:
    from edgekit.measuring.operator_times import OperatorProfiler

__all__ = ["TfliteSession"]

_INTERPRETERS = {
    "ai_edge_litert": ("ai_edge_litert.interpreter", "Interpreter"),
    "tflite_runtime": ("tflite_runtime.interpreter", "Interpreter"),
    "tensorflow": ("tensorflow", "lite.Interpreter"),
}
"""Module and class of each package's interpreter, by package; the preferred one first."""


class TfliteSession(base.Session):
    """Runs a bundle's model on a TFLite interpreter; see ``edgekit.targets.base.Session``.

    The interpreter is that of ai_edge_litert, tflite_runtime or TensorFlow, the first one
    installed. With ``threads`` 0 it uses one thread per physical core; the interpreter's default is
    one thread. For throughput, each thread has its own interpreter.
    """

    runtime = "tflite"

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``MissingDependencyError`` unless an interpreter is installed."""
        _interpreter()

    def describe(self) -> dict[str, str]:
        """Returns runtime, package and version, device, arithmetic and threads, by name."""
        manifest = self.bundle.manifest
        arithmetic = "fp32, weights fp16" if manifest.precision == "fp16" else manifest.precision
        if manifest.quantization is not None and manifest.quantization.method == "dynamic":
            arithmetic += ", ranges of each frame"
        if self._steps:
            arithmetic += ", in and out too"
        version = importlib.import_module(self._package).__version__
        return {
            "runtime": self.runtime,
            "version": f"{self._package} {version}",
            "device": self._device,
            "arithmetic": arithmetic,
            "threads": f"{self.lanes}, a frame each" if self.many else str(self._threads),
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        self._package, create = _interpreter()
        self._threads = self.options.threads or physical_cores()
        if self.many:
            self.lanes, self._threads = self._threads, 1
        path, content = self.bundle.model_path, self.bundle.read_model()
        try:
            if self._package != "ai_edge_litert":
                check_structure(content)
            made = [
                create(model_content=content, num_threads=self._threads) for _ in range(self.lanes)
            ]
            for interpreter in made:
                interpreter.allocate_tensors()
            # The runner locks the interpreter against running: only its tables are kept.
            signature = interpreter.get_signature_runner()
            inputs, outputs = signature.get_input_details(), signature.get_output_details()
            del signature
        except (ValueError, RuntimeError) as error:
            version = importlib.import_module(self._package).__version__
            raise BundleError(
                f"{self._package} {version} refuses {path}: {base.reason_of(error)}",
                hint=f"Export it again (edgekit export CHECKPOINT --target "
                f"{self.bundle.manifest.target}), or upgrade: pip install -U ai-edge-litert",
            ) from error
        self._device = _device(interpreter)
        self._idle: RuntimePool[Any] | None = RuntimePool(made)
        self._places = {name: tensor["index"] for name, tensor in inputs.items()}
        self._results = {name: tensor["index"] for name, tensor in outputs.items()}
        self._steps = {
            tensor["index"]: tensor["quantization"]
            for tensor in (*inputs.values(), *outputs.values())
            if tensor["dtype"] is np.int8
        }
        shapes: base.Signature = {
            name: (tuple(int(side) for side in tensor["shape"]), _given(tensor))
            for name, tensor in inputs.items()
        }
        return shapes, tuple(outputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert self._idle is not None
        with self._idle.lent() as interpreter:
            for name, place in self._places.items():
                interpreter.set_tensor(place, self._rounded(place, inputs[name]))
            interpreter.invoke()
            return {
                name: self._widened(place, interpreter.get_tensor(place))
                for name, place in self._results.items()
            }

    def _rounded(self, place: int, values: Array) -> Array:
        """Quantizes float values for an input of the model."""
        if place not in self._steps:
            return values
        scale, zero = self._steps[place]
        found: Array = (np.rint(values / np.float32(scale)) + zero).clip(-128, 127).astype(np.int8)
        return found

    def _widened(self, place: int, values: Array) -> Array:
        """Converts a quantized output of the model to floats."""
        if place not in self._steps:
            return values
        scale, zero = self._steps[place]
        found: Array = (values.astype(np.float32) - zero) * np.float32(scale)
        return found

    def _profiler(self) -> AbstractContextManager[OperatorProfiler]:
        raise EdgeKitError(
            f"The interpreter of {self._package} has no profiler in Python, so TFLite does not "
            "report how long its operators take.",
            hint="Google's program benchmark_model measures it (its option enable_op_profiling). "
            "Or measure the same checkpoint for onnx or openvino.",
        )

    def _release(self) -> None:
        self._idle = None


def _given(tensor: Mapping[str, Any]) -> str:
    """Returns the type that a session takes for an input; it quantizes to int8 by itself."""
    return "float32" if tensor["dtype"] is np.int8 else np.dtype(tensor["dtype"]).name


def _interpreter() -> tuple[str, Any]:
    """Returns the package whose interpreter is used, and its class."""
    first: ImportError | None = None
    for package, (module, name) in _INTERPRETERS.items():
        try:
            return package, attrgetter(name)(importlib.import_module(module))
        except ImportError as error:
            first = first or error
    raise MissingDependencyError.for_extra(
        "ai_edge_litert", "tflite", "Running a bundle for the target tflite", first
    ) from first


def _device(interpreter: Any) -> str:
    """Returns the device; whether XNNPACK is used depends on the interpreter's build."""
    try:
        names = {operator["op_name"] for operator in interpreter._get_ops_details()}
    except AttributeError:  # the packages do not guarantee this attribute
        return "CPU"
    return "CPU, by XNNPACK" if "DELEGATE" in names else "CPU"
