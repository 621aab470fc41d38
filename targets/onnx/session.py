"""DEVICE. Bundles on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from edgekit.bundle import Bundle
from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError, UsageError
from edgekit.runtime.types import Array
from edgekit.targets import base

__all__ = ["Session"]

_Signature: TypeAlias = dict[str, tuple[tuple[int, ...], str]]
"""Name to shape and numpy's name of the type."""

_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


class Session(base.Session):
    """A bundle's model on ONNX Runtime; a context manager.

    Args:
        bundle: What to run.
        threads: How many to compute with; 0 for one per physical core.

    Attributes:
        providers: ONNX Runtime's execution providers, the preferred one first; a subclass may
            name others.

    Raises:
        UsageError: ``threads`` is negative.
        MissingDependencyError: ONNX Runtime is not installed.
        BundleError: It refuses the model, or the model is not what the manifest says.
    """

    providers: tuple[str, ...] = ("CPUExecutionProvider",)

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        super().__init__(bundle, threads=threads)
        if threads < 0:
            raise UsageError(f"Expected a number of threads of 0 or more; found {threads}.")
        self._session: Any = self._open()
        self._inputs: _Signature = {}
        for value in self._session.get_inputs():
            if value.type not in _TYPES:
                raise self._not_as_said(f"input {value.name!r} of type {value.type}")
            self._inputs[value.name] = (tuple(value.shape), _TYPES[value.type])
        self._outputs = [value.name for value in self._session.get_outputs()]
        self._check_manifest()

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model once; see ``edgekit.targets.base.Session.infer``.

        Raises:
            UsageError: An input is missing, too many, or of another shape or type.
            EdgeKitError: The session is closed, or ONNX Runtime failed.
        """
        if self._session is None:
            raise EdgeKitError(f"The session of {self.bundle.path} is closed.")
        if inputs.keys() != self._inputs.keys():
            raise UsageError(
                f"Expected the inputs {', '.join(self._inputs)}; found "
                f"{', '.join(inputs) or 'none'}."
            )
        for name, (shape, dtype) in self._inputs.items():
            found = inputs[name]
            if found.shape != shape or str(found.dtype) != dtype:
                raise UsageError(
                    f"Expected {name} to be {dtype} {shape}; found {found.dtype} {found.shape}."
                )
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # its exceptions have no base of their own
            raise EdgeKitError(
                f"ONNX Runtime failed on {self.bundle.path}: {_reason(error)}"
            ) from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Gives up the model's memory and threads; harmless a second time."""
        self._session = None

    def describe(self) -> dict[str, str]:
        """The runtime, its version, the device, the arithmetic and the number of threads."""
        import onnxruntime

        providers = [] if self._session is None else self._session.get_providers()
        return {
            "runtime": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": ", ".join(name.removesuffix("ExecutionProvider") for name in providers),
            "arithmetic": self.bundle.manifest.precision,
            "threads": str(self.threads) if self.threads else "one per physical core",
        }

    def _open(self) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependencyError(
                "Running a bundle for the target onnx needs 'onnxruntime', which is not installed.",
                mend="Run: pip install edgekit",
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4
        # Threads that spin between two frames take the cores from decoding and from the sinks: on
        # a busy machine waiting costs half the CPU time and makes the network faster as well.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(
                str(self.bundle.model_path), options, providers=list(self.providers)
            )
        except Exception as error:  # its exceptions have no base of their own
            reason, upgrade = _reason(error), "upgrade: pip install -U onnxruntime"
            again = "Export it again (edgekit export CHECKPOINT --target onnx)"
            if "DeformConv" in reason:
                again = "Export it in operators that every version has (--dcn grid_sample)"
            raise BundleError(
                f"ONNX Runtime {onnxruntime.__version__} refuses {self.bundle.model_path}: "
                f"{reason}",
                mend=f"{again}, or {upgrade}",
            ) from error

    def _check_manifest(self) -> None:
        manifest = self.bundle.manifest
        size = (manifest.input.height, manifest.input.width)
        if manifest.cascade.place == "graph":
            frame = ((1, *size, 3), "uint8")
            inputs: _Signature = {"previous": frame, "frame": frame}
        else:
            channels = 3 if manifest.cascade.kind == "rgb" else 6
            inputs = {"input": ((1, channels, *size), "float32")}
        if self._inputs != inputs:
            raise self._not_as_said(f"inputs {_listed(self._inputs)}, not {_listed(inputs)}")
        outputs = {spec.name for spec in manifest.outputs}
        if set(self._outputs) != outputs:
            raise self._not_as_said(
                f"outputs {', '.join(self._outputs)}, not {', '.join(sorted(outputs))}"
            )

    def _not_as_said(self, what: str) -> BundleError:
        return BundleError(
            f"{self.bundle.path}: the model is not what the manifest says: it has {what}.",
            mend="Export it again: edgekit export CHECKPOINT --target onnx",
        )


def _listed(values: _Signature) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (shape, dtype) in values.items())


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
