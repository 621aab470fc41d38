"""What a target is: something that runs a bundle, and something that writes one."""

from __future__ import annotations

import abc
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from edgekit._closing import Closing
from edgekit.bundle import Bundle, Manifest
from edgekit.errors import BundleError, EdgeKitError, UsageError
from edgekit.runtime.types import Array

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Exported",
    "Exporter",
    "Session",
    "SessionOptions",
    "Signature",
    "most_threads",
    "not_readable",
    "physical_cores",
    "reason_of",
]

_MOST_THREADS = 64

Signature: TypeAlias = dict[str, tuple[tuple[int, ...], str]]
"""Name to shape and numpy's name of the type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How to run a bundle. ``None`` leaves a choice to the runtime.

    Attributes:
        runtime: A name of ``edgekit.targets.registry.RUNTIMES`` that the target allows.
        threads: How many to compute with; 0 lets the runtime choose.
        device: Where to compute, in the runtime's own words: ``CPU``, ``GPU``, ``NPU``, ``AUTO``.
        hint: Whether one frame is to be done soon, or many in a given time: several at once then,
            each with fewer threads. By default the first.
        arithmetic: ``f32``, ``f16`` or ``bf16``.
        cache: A folder in which the runtime may keep what it compiled.
    """

    runtime: str | None = None
    threads: int = 0
    device: str | None = None
    hint: Literal["latency", "throughput"] | None = None
    arithmetic: Literal["f32", "f16", "bf16"] | None = None
    cache: Path | None = None


class Session(Closing):
    """DEVICE. A loaded model; a context manager.

    A subclass loads in ``_open``, computes in ``_run`` and frees in ``_release``; what goes in and
    what comes out is checked here, the same for every runtime.

    Args:
        bundle: What to run.
        options: How.

    Raises:
        UsageError: An option cannot be, or the runtime does not have it.
        MissingDependencyError: The runtime is not installed.
        BundleError: It refuses the model, or the model is not what the manifest says.
    """

    runtime: str
    """The runtime's name, as messages and reports have it."""

    takes: frozenset[str] = frozenset()
    """The options beside ``runtime``, ``threads`` and ``hint`` that this runtime knows."""

    lanes: int = 1
    """How many frames it computes at once, at most; ``_open`` may raise it. As many threads may
    call ``infer`` at a time."""

    def __init__(self, bundle: Bundle, options: SessionOptions | None = None) -> None:
        self.bundle = bundle
        self.options = options or SessionOptions()
        self._closed = False
        self._seen = False
        self._check_options()
        self._inputs, self._outputs = self._open()
        try:
            self._check_manifest()
        except BaseException:
            self.close()
            raise

    @classmethod
    def check_machine(cls) -> None:
        """Raises unless the runtime can start here; cheap, and loads no model.

        Raises:
            MissingDependencyError: A package of the runtime is not installed.
            EdgeKitError: It finds no device to compute on.
        """

    @property
    def many(self) -> bool:
        """Whether many frames in a given time are wanted, and not each of them soon."""
        return self.options.hint == "throughput"

    @abc.abstractmethod
    def _open(self) -> tuple[Signature, tuple[str, ...]]:
        """Loads the model; returns its inputs and the names of its outputs."""

    @abc.abstractmethod
    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Computes once, on inputs that fit; in up to ``lanes`` threads at a time."""

    @abc.abstractmethod
    def _release(self) -> None:
        """Gives up the model's memory and threads."""

    @abc.abstractmethod
    def describe(self) -> dict[str, str]:
        """What really runs: ``runtime``, ``version``, ``device``, ``arithmetic``, ``threads``."""

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Runs the model once.

        Args:
            inputs: ``input`` (1, C, H, W) float32; or, where the model holds the cascade,
                ``previous`` and ``frame`` (1, H, W, 3) uint8, which nobody writes to afterwards.

        Returns:
            ``hm`` (1, classes, H/4, W/4) logits, ``wh`` and ``reg`` (1, 2, H/4, W/4); or, where the
            model holds the decoding, ``detections`` (K, 6). float32.

        Raises:
            UsageError: An input is missing, too many, or of another shape or type.
            BundleError: What comes out has not the shapes that the manifest says.
            EdgeKitError: The session is closed, or the runtime failed.
        """
        if self._closed:
            raise EdgeKitError(f"The session of {self.bundle.path} is closed.")
        if inputs.keys() != self._inputs.keys():
            raise UsageError(
                f"Expected the inputs {', '.join(self._inputs)}; found "
                f"{', '.join(inputs) or 'none'}."
            )
        for name, (shape, dtype) in self._inputs.items():
            found = inputs[name]
            if found.shape != shape or found.dtype.name != dtype:
                raise UsageError(
                    f"Expected {name} to be {dtype} {shape}; found {found.dtype} {found.shape}."
                )
        try:
            outputs = self._run(inputs)
        except EdgeKitError:
            raise
        except Exception as error:  # the runtimes' exceptions have no base of their own
            raise EdgeKitError(
                f"{self.runtime} failed on {self.bundle.path}: {reason_of(error)}"
            ) from error
        if not self._seen:
            self._check_shapes(outputs)
            self._seen = True
        return outputs

    def close(self) -> None:
        """Gives up the model's memory and threads; harmless a second time."""
        if not self._closed:
            self._closed = True
            self._release()

    def _check_options(self) -> None:
        threads, most = self.options.threads, most_threads()
        if not 0 <= threads <= most:
            raise UsageError(
                f"Expected a number of threads from 0 to {most}; found {threads}.",
                mend="Leave --threads away for as many as there are cores.",
            )
        for name in ("device", "arithmetic", "cache"):
            if name not in self.takes and getattr(self.options, name) is not None:
                raise UsageError(
                    f"{self.runtime} has no choice of {name}; found {getattr(self.options, name)}.",
                    mend=f"Leave --{name} away.",
                )

    def _check_manifest(self) -> None:
        expected = _expected_inputs(self.bundle.manifest)
        if self._inputs != expected:
            raise self._not_as_said(f"inputs {_listed(self._inputs)}, not {_listed(expected)}")
        outputs = {spec.name for spec in self.bundle.manifest.outputs}
        if set(self._outputs) != outputs:
            raise self._not_as_said(
                f"outputs {', '.join(self._outputs)}, not {', '.join(sorted(outputs))}"
            )

    def _check_shapes(self, outputs: Mapping[str, Array]) -> None:
        made, decode = self.bundle.manifest.input, self.bundle.manifest.decode
        cells = (made.height // decode.stride, made.width // decode.stride)
        for spec in self.bundle.manifest.outputs:
            shape = outputs[spec.name].shape
            if decode.place == "host":
                expected = f"(1, {spec.channels}, {cells[0]}, {cells[1]})"
                fits = shape == (1, spec.channels, *cells)
            else:
                expected, fits = "(K, 6)", len(shape) == 2 and shape[1] == spec.channels
            if not fits:
                raise self._not_as_said(f"{spec.name} of shape {shape}, not {expected}")

    def _not_as_said(self, what: str) -> BundleError:
        return BundleError(
            f"{self.bundle.path}: the model is not what the manifest says: it has {what}.",
            mend=f"Export it again: edgekit export CHECKPOINT --target "
            f"{self.bundle.manifest.target}",
        )


def reason_of(error: Exception) -> str:
    """What a runtime said of a failure, in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def not_readable(model: Path, format: str, error: Exception) -> BundleError:
    """The error that tells of a model file that its own format's reader does not take."""
    return BundleError(
        f"{model} is no {format} model: {reason_of(error)}.",
        mend="Export it again: edgekit export CHECKPOINT --target TARGET",
    )


def most_threads() -> int:
    """More than this are of no use to anybody, and may be more than the machine can bear."""
    return max(_MOST_THREADS, 2 * (os.cpu_count() or 1))


def physical_cores() -> int:
    """Of the cores that this process may use; threads that share one count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(siblings.format(number)).read_text() for number in allowed})
    except OSError:
        return len(allowed)


def _expected_inputs(manifest: Manifest) -> Signature:
    size = (manifest.input.height, manifest.input.width)
    if manifest.cascade.place == "graph":
        frame = ((1, *size, 3), "uint8")
        return {"previous": frame, "frame": frame}
    channels = 3 if manifest.cascade.kind == "rgb" else 6
    return {"input": ((1, channels, *size), "float32")}


def _listed(values: Signature) -> str:
    return ", ".join(f"{name} {dtype} {shape}" for name, (shape, dtype) in values.items())


@dataclass(frozen=True, slots=True)
class Exported:
    """What an exporter wrote.

    Attributes:
        model: Name of the model file in the folder.
        files: Names of all files to go into the bundle.
        opset: Or IR version, where the format has one.
        converter: Name and version of each package that took part.
    """

    model: str
    files: tuple[str, ...]
    opset: int | None
    converter: dict[str, str]


class Exporter(abc.ABC):
    """HOST. Writes a network in the format of a target."""

    precisions: tuple[str, ...] = ("fp32",)
    """The precisions that it writes."""

    lowerings: tuple[str, ...] = ("deform_conv", "grid_sample", "gather")
    """What deformable convolutions may become on this target, the default first."""

    cascade: Literal["host", "graph"] = "host"
    """Where the cascade runs unless told otherwise."""

    decode: Literal["host", "graph"] = "host"
    """Where boxes are made of the heads unless told otherwise."""

    own_half: bool = False
    """Whether it makes float16 of a float32 network by itself."""

    verify_on: str | None = None
    """Of ``edgekit.targets.registry.RUNTIMES``, what to verify with; None: the target's own."""

    @abc.abstractmethod
    def export(
        self, network: nn.Module, example: tuple[Array, ...], folder: Path, precision: str
    ) -> Exported:
        """Writes ``network`` into ``folder``, byte for byte the same for the same network.

        Args:
            network: In evaluation mode; takes the arrays of ``example``, returns named tensors.
                At ``fp16`` its weights are float16 already, and what it takes and gives is not;
                with ``own_half`` it is float32 throughout.
            example: Inputs, by which shapes and types are fixed.
            folder: Exists and is empty.
            precision: One of ``precisions``.

        Raises:
            MissingDependencyError: A package of the converter is not installed.
            ConversionError: The converter failed, or the target cannot take an operator.
            OutputError: A file cannot be written.
        """

    def operators(self, model: Path) -> dict[str, int]:
        """How many operators of each type are in a model file, the most frequent first.

        Returns:
            Nothing for a format whose operators cannot be told.
        """
        del model
        return {}
