"""DEVICE. Bundles on a TFLite interpreter, whichever is installed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import BundleError, MissingDependencyError
from edgekit.runtime.types import Array
from edgekit.targets import base
from edgekit.targets.tflite.structure import check_structure

__all__ = ["Session"]

_INTERPRETERS = {
    "ai_edge_litert": ("ai_edge_litert.interpreter", "Interpreter"),
    "tflite_runtime": ("tflite_runtime.interpreter", "Interpreter"),
    "tensorflow": ("tensorflow", "lite.Interpreter"),
}
"""Package to the module that has its interpreter, and where in it; the preferred one first."""


class Session(base.Session):
    """A bundle's model on a TFLite interpreter; see ``edgekit.targets.base.Session``.

    The interpreter is ai_edge_litert's, tflite_runtime's or TensorFlow's, the first of them that
    is installed. With ``threads`` of 0 it computes with one per physical core: left to itself it
    would take a single one.
    """

    runtime = "tflite"

    def describe(self) -> dict[str, str]:
        """The runtime, its package and version, the device, the arithmetic and the threads."""
        precision = self.bundle.manifest.precision
        version = importlib.import_module(self._package).__version__
        return {
            "runtime": self.runtime,
            "version": f"{self._package} {version}",
            "device": self._device,
            "arithmetic": "fp32, weights fp16" if precision == "fp16" else precision,
            "threads": str(self._threads),
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        self._package, create = _interpreter()
        self._threads = self.options.threads or _physical_cores()
        path = self.bundle.model_path
        try:
            if self._package != "ai_edge_litert":
                check_structure(path)
            self._interpreter: Any = create(model_path=str(path), num_threads=self._threads)
            self._interpreter.allocate_tensors()
            # It holds the interpreter in a way that forbids to run it: only its tables are kept.
            signature = self._interpreter.get_signature_runner()
            inputs, outputs = signature.get_input_details(), signature.get_output_details()
            del signature
        except (ValueError, RuntimeError) as error:
            version = importlib.import_module(self._package).__version__
            raise BundleError(
                f"{self._package} {version} refuses {path}: {base.reason_of(error)}",
                mend=f"Export it again (edgekit export CHECKPOINT --target "
                f"{self.bundle.manifest.target}), or upgrade: pip install -U ai-edge-litert",
            ) from error
        self._device = _device(self._interpreter)
        self._places = {name: tensor["index"] for name, tensor in inputs.items()}
        self._results = {name: tensor["index"] for name, tensor in outputs.items()}
        shapes: base.Signature = {
            name: (tuple(int(side) for side in tensor["shape"]), np.dtype(tensor["dtype"]).name)
            for name, tensor in inputs.items()
        }
        return shapes, tuple(outputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        interpreter = self._interpreter
        for name, place in self._places.items():
            interpreter.set_tensor(place, inputs[name])
        interpreter.invoke()
        return {name: interpreter.get_tensor(place) for name, place in self._results.items()}

    def _release(self) -> None:
        self._interpreter = None


def _interpreter() -> tuple[str, Any]:
    """The package whose interpreter is used, and its class."""
    for package, (module, name) in _INTERPRETERS.items():
        try:
            return package, attrgetter(name)(importlib.import_module(module))
        except ImportError:
            continue
    raise MissingDependencyError.for_extra(
        "ai_edge_litert", "tflite", "Running a bundle for the target tflite"
    )


def _device(interpreter: Any) -> str:
    """Where it computes; whether by XNNPACK, a build of an interpreter decides."""
    try:
        names = {operator["op_name"] for operator in interpreter._get_ops_details()}
    except AttributeError:  # no part of what the packages promise
        return "CPU"
    return "CPU, by XNNPACK" if "DELEGATE" in names else "CPU"


def _physical_cores() -> int:
    """Of the cores that this process may use; threads that share one count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(siblings.format(number)).read_text() for number in allowed})
    except OSError:
        return len(allowed)
