"""Base class of the sessions of all targets: each runs a bundle's model on an inference runtime."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edgekit._checks import check_range, unexpected
from edgekit._closing import Closing
from edgekit._options import check_types
from edgekit._parameters import parameter
from edgekit.bundle import Bundle, Manifest
from edgekit.errors import BundleError, EdgeKitError, UsageError
from edgekit.runtime.kinds import input_channels
from edgekit.runtime.types import Array
from edgekit.system.cores import most_threads
from edgekit.targets.choices import Arithmetic, Hint

if TYPE_CHECKING:
    from edgekit.measuring.operator_times import OperatorProfiler, OperatorTimes

__all__ = [
    "Session",
    "SessionOptions",
    "Signature",
    "expected_inputs",
    "not_readable",
    "reason_of",
]

Signature: TypeAlias = dict[str, tuple[tuple[int, ...], str]]
"""Shape and numpy type name of each tensor, by tensor name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """Options for running a bundle. ``None`` leaves a choice to the runtime.

    Attributes:
        runtime: Name in ``edgekit.targets.registry.RUNTIMES`` that the target allows.
        threads: Number of threads for inference; 0 lets the runtime choose.
        device: Device for inference, in the runtime's own terms: ``CPU``, ``GPU``, ``NPU``,
            ``AUTO``.
        hint: Whether to optimize for latency or for throughput. Throughput computes several frames
            at once, each with fewer threads. The default is latency.
        arithmetic: Type for the computation: ``f32``, ``f16`` or ``bf16``.
        cache: Folder in which the runtime may keep compiled models.
    """

    runtime: str | None = None
    threads: int = 0
    device: str | None = None
    hint: Hint | None = None
    arithmetic: Arithmetic | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        check_types(self)


class Session(Closing):
    """DEVICE. A loaded model; a context manager.

    A subclass loads the model in ``_open``, runs it in ``_run`` and frees it in ``_release``. This
    class checks inputs and outputs in one way for every runtime.

    Args:
        bundle: Bundle to run.
        options: Options for running it.

    Raises:
        UsageError: An option is not possible, or the runtime does not support it.
        MissingDependencyError: The runtime is not installed.
        BundleError: The runtime refuses the model, or the model does not match the manifest.
    """

    runtime: str
    """Name of the runtime in messages and reports."""

    takes: frozenset[str] = frozenset()
    """Options that this runtime supports, besides ``runtime``, ``threads`` and ``hint``."""

    simulator: str = ""
    """Name of the simulator that computes in place of the hardware; empty on hardware."""

    lanes: int = 1
    """Largest number of frames computed at once, and of threads that may call ``infer`` at once.

    ``_open`` may increase it."""

    def __init__(self, bundle: Bundle, options: SessionOptions | None = None) -> None:
        self.bundle = bundle
        self.options = options or SessionOptions()
        self._closed = False
        self._check_options()
        made, stride = bundle.manifest.input, bundle.manifest.decode.stride
        self._cells = made.height // stride, made.width // stride
        self._inputs, self._outputs = self._open()
        try:
            self._check_manifest()
        except BaseException:
            self.close()
            raise

    @classmethod
    def check_machine(cls) -> None:
        """Raises unless the runtime can start here; it is fast, and loads no model.

        Raises:
            MissingDependencyError: A package of the runtime is not installed.
            EdgeKitError: The runtime finds no device.
        """

    @property
    def many(self) -> bool:
        """Whether the session optimizes for throughput instead of latency."""
        return self.options.hint == "throughput"

    @abc.abstractmethod
    def _open(self) -> tuple[Signature, tuple[str, ...]]:
        """Loads the model; returns its inputs and the names of its outputs."""

    @abc.abstractmethod
    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model once, on checked inputs; up to ``lanes`` threads call it at once."""

    @abc.abstractmethod
    def _release(self) -> None:
        """Frees the model's memory and threads."""

    @abc.abstractmethod
    def describe(self) -> dict[str, str]:
        """Returns runtime, version, device, arithmetic and threads as really used, by name."""

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model once.

        Args:
            inputs: ``input`` (1, C, H, W) float32. If the model contains the cascade,
                ``previous`` and ``frame`` (1, H, W, 3) uint8, which must not be modified
                afterwards.

        Returns:
            ``hm`` (1, classes, H/4, W/4) logits, ``wh`` and ``reg`` (1, 2, H/4, W/4). If the
            model contains the decoding, ``detections`` (K, 6). All float32.

        Raises:
            UsageError: An input is missing or unknown, or has the wrong shape or type.
            BundleError: The outputs do not have the shapes in the manifest, or the runtime failed.
            EdgeKitError: The session is closed.
        """
        if self._closed:
            raise EdgeKitError(f"The session of {self.bundle.path} is closed; open it again.")
        if not isinstance(inputs, Mapping):
            raise unexpected("inputs", "arrays by name", inputs)
        if inputs.keys() != self._inputs.keys():
            raise UsageError(
                f"Expected the inputs {', '.join(self._inputs)}; found "
                f"{', '.join(map(str, inputs)) or 'none'}."
            )
        for name, (shape, dtype) in self._inputs.items():
            found = inputs[name]
            if (getattr(found, "shape", None), getattr(found, "dtype", None)) != (shape, dtype):
                raise unexpected(name, f"an array of {dtype} {shape}", found)
        try:
            outputs = self._run(inputs)
        except EdgeKitError:
            raise
        except Exception as error:  # the runtimes' exceptions have no common base class
            raise BundleError(
                f"{self.runtime} failed on {self.bundle.path}: {reason_of(error)}"
            ) from error
        self.check_outputs(outputs)
        return outputs

    def profile(self, inputs: Mapping[str, Array], rounds: int = 30) -> OperatorTimes:
        """Measures how long each operator of the model takes.

        It opens the model a second time, with the runtime's profiler, and runs both in turn. A
        session that is never asked for this does no work for it.

        Args:
            inputs: Inputs as ``infer`` takes them.
            rounds: Number of measured inferences with the profiler, at least 1.

        Raises:
            UsageError: ``rounds`` or an input is not possible.
            OutputError: The profile cannot be written to the folder for temporary files.
            EdgeKitError: The runtime does not tell the times of its operators, or it failed.
        """
        from edgekit.measuring.operator_times import measure_operators

        check_range("rounds", rounds, 1)
        self.infer(inputs)
        try:
            with self._profiler() as profiler:
                return measure_operators(lambda: self._run(inputs), profiler, inputs, rounds)
        except EdgeKitError:
            raise
        except Exception as error:  # the runtimes' exceptions have no common base class
            raise EdgeKitError(
                f"{self.runtime} could not profile {self.bundle.path}: {reason_of(error)}"
            ) from error

    def _profiler(self) -> AbstractContextManager[OperatorProfiler]:
        """Opens the model with the runtime's profiler; a runtime that has one overrides it."""
        raise EdgeKitError(
            f"{self.runtime} does not tell how long its operators take.",
            hint="Measure the same checkpoint for another target, such as onnx or openvino.",
        )

    def close(self) -> None:
        """Frees the model's memory and threads; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._release()

    def _check_options(self) -> None:
        threads, most = self.options.threads, most_threads()
        usual = f"Leave out {parameter('threads')} to use as many threads as there are cores."
        check_range("threads", threads, 0, most, hint=usual)
        for name in ("device", "arithmetic", "cache"):
            if name not in self.takes and getattr(self.options, name) is not None:
                raise UsageError(
                    f"The runtime {self.runtime} does not support {parameter(name)}; found "
                    f"{getattr(self.options, name)}.",
                    hint=f"Leave out {parameter(name)}.",
                )

    def _check_manifest(self) -> None:
        expected = expected_inputs(self.bundle.manifest)
        if self._inputs != expected:
            raise self._not_as_said(f"inputs {_listed(self._inputs)}, not {_listed(expected)}")
        outputs = {spec.name for spec in self.bundle.manifest.outputs}
        if set(self._outputs) != outputs:
            raise self._not_as_said(
                f"outputs {', '.join(self._outputs)}, not {', '.join(sorted(outputs))}"
            )

    def check_outputs(self, outputs: Mapping[str, Array]) -> None:
        """Compares outputs of the model with its manifest, since a graph may have any shapes.

        Raises:
            BundleError: An output is missing, or has another shape or type.
        """
        decode = self.bundle.manifest.decode
        for spec in self.bundle.manifest.outputs:
            found = outputs.get(spec.name)
            if not isinstance(found, np.ndarray) or found.dtype != np.float32:
                kind = getattr(found, "dtype", type(found).__name__)
                raise self._not_as_said(f"{spec.name} of type {kind}, not float32")
            shape = found.shape
            if decode.place == "host":
                expected: tuple[object, ...] = (1, spec.channels, *self._cells)
                fits = shape == expected
            else:
                expected = (f"up to {decode.top_k}", spec.channels)
                fits = len(shape) == 2 and shape[1] == spec.channels and shape[0] <= decode.top_k
            if not fits:
                raise self._not_as_said(
                    f"{spec.name} of shape {shape}, not ({', '.join(map(str, expected))})"
                )

    def _not_as_said(self, what: str) -> BundleError:
        return BundleError(
            f"{self.bundle.path}: the model does not match the manifest: it has {what}.",
            hint=f"Export it again: edgekit export CHECKPOINT --target "
            f"{self.bundle.manifest.target}",
        )


def reason_of(error: Exception) -> str:
    """Returns a runtime's error message in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def not_readable(model: Path, format: str, error: Exception) -> BundleError:
    """Returns the error for a model file that the reader of its format refuses."""
    return BundleError(
        f"{model} is not a valid {format} model: {reason_of(error)}.",
        hint="Export it again: edgekit export CHECKPOINT --target TARGET",
    )


def expected_inputs(manifest: Manifest) -> Signature:
    """Returns the inputs that the model of a bundle has by its manifest."""
    size = (manifest.input.height, manifest.input.width)
    if manifest.cascade.place == "graph":
        return dict.fromkeys(("previous", "frame"), ((1, *size, 3), "uint8"))
    return {"input": ((1, input_channels(manifest.cascade.kind), *size), "float32")}


def _listed(values: Signature) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (shape, dtype) in values.items())
