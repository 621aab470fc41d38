"""DEVICE. Runs bundles on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from edgekit.errors import BundleError, MissingDependencyError
from edgekit.runtime.types import Array
from edgekit.system.cores import physical_cores
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets import base

if TYPE_CHECKING:
    from edgekit.measuring.operator_times import OperatorProfiler

__all__ = ["OnnxSession"]

_OF_THE_RUNTIME = b"ORTM"
_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


class OnnxSession(base.Session):
    """Runs a bundle's model on ONNX Runtime; see ``edgekit.targets.base.Session``.

    With ``threads`` 0 it uses one thread per physical core. For throughput, each thread computes
    its own frame.

    Attributes:
        providers: ONNX Runtime's execution providers, the preferred one first; a subclass may name
            others.
    """

    runtime = "onnxruntime"
    providers: tuple[str, ...] = ("CPUExecutionProvider",)

    @classmethod
    def check_machine(cls) -> None:
        """Raises ``MissingDependencyError`` unless ONNX Runtime is installed."""
        try:
            import_onnxruntime()
        except ImportError as error:
            raise MissingDependencyError.for_extra(
                "onnxruntime", "", "Running this bundle"
            ) from error

    def describe(self) -> dict[str, str]:
        """Returns runtime, version, device, arithmetic and number of threads, by name."""
        onnxruntime = import_onnxruntime()

        providers = [] if self._session is None else self._session.get_providers()
        threads = str(self.options.threads or "one per physical core")
        return {
            "runtime": self.runtime,
            "version": onnxruntime.__version__,
            "device": ", ".join(name.removesuffix("ExecutionProvider") for name in providers),
            "arithmetic": self.bundle.manifest.precision,
            "threads": f"{self.lanes}, a frame each" if self.many else threads,
        }

    def _open(self) -> tuple[base.Signature, tuple[str, ...]]:
        self.check_machine()
        onnxruntime = import_onnxruntime()

        if self.many:
            self.lanes = self.options.threads or physical_cores()
        content = self.bundle.read_model()
        if content[4:8] == _OF_THE_RUNTIME:
            # Such a file can name weights in other files, which nobody has checked.
            wrong = ValueError("it has the format of ONNX Runtime's own .ort files")
            raise base.not_readable(self.bundle.model_path, "ONNX", wrong)
        try:
            self._session: Any = onnxruntime.InferenceSession(
                content, self._settings(), providers=list(self.providers)
            )
        except Exception as error:  # its exceptions have no common base class
            reason, upgrade = base.reason_of(error), "upgrade: pip install -U onnxruntime"
            target = self.bundle.manifest.target
            again = f"Export it again (edgekit export CHECKPOINT --target {target})"
            if "DeformConv" in reason:
                again = (
                    "Export it with operators that every version has: edgekit export CHECKPOINT "
                    f"--target {target} --dcn grid_sample"
                )
            raise BundleError(
                f"ONNX Runtime {onnxruntime.__version__} refuses {self.bundle.model_path}: "
                f"{reason}",
                hint=f"{again}, or {upgrade}",
            ) from error
        return self._signature()

    def _signature(self) -> tuple[base.Signature, tuple[str, ...]]:
        """Returns the inputs of the opened session, and the names of its outputs."""
        inputs: base.Signature = {}
        for value in self._session.get_inputs():
            if value.type not in _TYPES:
                raise self._not_as_said(f"input {value.name!r} of type {value.type}")
            inputs[value.name] = (tuple(value.shape), _TYPES[value.type])
        return inputs, tuple(value.name for value in self._session.get_outputs())

    def _settings(self) -> Any:
        """Returns the ``onnxruntime.SessionOptions`` of this session."""
        onnxruntime = import_onnxruntime()

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1 if self.many else self.options.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4
        # Threads that spin between frames take cores from decoding and from the sinks. On a busy
        # machine, waiting halves the CPU time and makes the network faster as well.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _profiler(self) -> AbstractContextManager[OperatorProfiler]:
        from edgekit.targets.onnx.profiler import onnx_profiler

        content = self.bundle.read_model()
        return onnx_profiler(self._settings(), content, self.providers, self._outputs)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        values = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, values, strict=True))

    def _release(self) -> None:
        self._session = None
