"""Targets and runtimes by name; each is imported only when it is used.

A new target adds an entry to ``TARGETS`` and, if no existing runtime runs its models, one to
``RUNTIMES``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple, cast

from edgekit.errors import BundleError, UsageError
from edgekit.system.installation import install_line

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.targets.base import Exporter, Session, SessionOptions

__all__ = [
    "RUNTIMES",
    "TARGETS",
    "Target",
    "check_runtime",
    "exporter",
    "open_session",
    "runtime_named",
    "target_named",
]


class Target(NamedTuple):
    """A format of bundles.

    Attributes:
        export: Module that contains its ``Exporter``.
        runtimes: Names in ``RUNTIMES`` that run its bundles, the default first.
    """

    export: str
    runtimes: tuple[str, ...]


TARGETS: dict[str, Target] = {
    "onnx": Target("edgekit.targets.onnx.export", ("onnxruntime",)),
    "openvino": Target("edgekit.targets.openvino.export", ("openvino",)),
    "tflite": Target("edgekit.targets.tflite.export", ("tflite",)),
    "jetson": Target("edgekit.targets.jetson.export", ("tensorrt", "onnxruntime")),
}
"""Targets by the name that ``--target`` takes."""

RUNTIMES: dict[str, str] = {
    "onnxruntime": "edgekit.targets.onnx.session",
    "openvino": "edgekit.targets.openvino.session",
    "tflite": "edgekit.targets.tflite.session",
    "tensorrt": "edgekit.targets.jetson.session",
}
"""Modules that contain each ``Session``, by the name that ``--runtime`` takes."""


_TARGET_NAMES = {
    "jetson": ("tensorrt", "trt", "orin", "jetpack"),
    "onnx": ("onnxruntime", "ort"),
    "openvino": ("ov", "vino", "ir"),
    "tflite": ("litert", "lite-rt", "tensorflow-lite", "tensorflowlite", "tf-lite", "tensorflow"),
}
_RUNTIME_NAMES = {
    "tensorrt": ("trt", "jetson"),
    "onnxruntime": ("onnx", "ort", "onnx-runtime"),
    "openvino": ("ov", "vino"),
    "tflite": ("litert", "lite-rt", "tensorflow-lite", "tensorflowlite", "tf-lite", "tensorflow"),
}


def target_named(word: str) -> str | None:
    """Returns the name in ``TARGETS`` for a word, such as ``jetson`` for ``TensorRT``."""
    return _named(word, _TARGET_NAMES)


def runtime_named(word: str) -> str | None:
    """Returns the name in ``RUNTIMES`` for a word, such as ``tflite`` for ``LiteRT``."""
    return _named(word, _RUNTIME_NAMES)


def _named(word: str, others: dict[str, tuple[str, ...]]) -> str | None:
    plain = word.strip().lower().replace("_", "-").replace(" ", "-")
    return next((name for name, more in others.items() if plain in (name, *more)), None)


def open_session(bundle: Bundle, options: SessionOptions | None = None) -> Session:
    """Loads a bundle on a runtime of its target.

    Args:
        bundle: Bundle to run.
        options: Options for running it; the default is the target's default runtime.

    Raises:
        UsageError: The runtime does not support the target's bundles.
        MissingDependencyError: The runtime is not installed.
        BundleError: The target is unknown, or the runtime refuses the model.
    """
    return _session(bundle, options.runtime if options else None)(bundle, options)


def check_runtime(bundle: Bundle, runtime: str | None = None) -> None:
    """Raises unless this machine has everything that a bundle needs to run; loads no model.

    Args:
        bundle: Bundle to check.
        runtime: Name in ``RUNTIMES``; by default the target's default runtime.

    Raises:
        UsageError: The runtime does not support the target's bundles.
        MissingDependencyError: The runtime is not installed.
        BundleError: The target is unknown.
        EdgeKitError: The runtime finds no device.
    """
    _session(bundle, runtime).check_machine()


def _session(bundle: Bundle, runtime: str | None) -> type[Session]:
    target = bundle.manifest.target
    if target not in TARGETS:
        raise BundleError(
            f"{bundle.path} is for {target!r}; this EdgeKit knows {', '.join(TARGETS)}.",
            hint=f"Export the checkpoint again, or upgrade EdgeKit: {install_line(upgrade=True)}",
        )
    allowed = TARGETS[target].runtimes
    runtime = runtime or allowed[0]
    if runtime not in allowed:
        raise UsageError(
            f"Bundles for {target} run on {', '.join(allowed)}, not on {runtime!r}.",
            hint=f"Use --runtime {allowed[0]}, or leave it away.",
        )
    return cast("type[Session]", importlib.import_module(RUNTIMES[runtime]).Session)


def exporter(target: str) -> Exporter:
    """Returns the exporter of a target.

    Raises:
        UsageError: The target is unknown.
    """
    return cast("Exporter", importlib.import_module(_target(target).export).Exporter())


def _target(name: str) -> Target:
    if name not in TARGETS:
        near = target_named(name)
        raise UsageError(
            f"The target is one of {', '.join(TARGETS)}, not {name!r}.",
            hint=f"Did you mean {near}?" if near else "",
        )
    return TARGETS[name]
