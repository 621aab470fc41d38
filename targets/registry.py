"""The targets and the runtimes by name; imported only when one is asked for.

A new target adds a line to ``TARGETS`` and, where no runtime here runs its models, one to
``RUNTIMES``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple, cast

from edgekit._installed import install_line
from edgekit.errors import BundleError, UsageError

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
        export: The module that holds its ``Exporter``.
        runtimes: Names of ``RUNTIMES`` that run its bundles, the usual one first.
    """

    export: str
    runtimes: tuple[str, ...]


TARGETS: dict[str, Target] = {
    "onnx": Target("edgekit.targets.onnx.export", ("onnxruntime",)),
    "openvino": Target("edgekit.targets.openvino.export", ("openvino",)),
    "tflite": Target("edgekit.targets.tflite.export", ("tflite",)),
    "jetson": Target("edgekit.targets.jetson.export", ("tensorrt", "onnxruntime")),
}
"""Name of a target, as ``--target`` takes it."""

RUNTIMES: dict[str, str] = {
    "onnxruntime": "edgekit.targets.onnx.session",
    "openvino": "edgekit.targets.openvino.session",
    "tflite": "edgekit.targets.tflite.session",
    "tensorrt": "edgekit.targets.jetson.session",
}
"""Name of a runtime, as ``--runtime`` takes it, and the module that holds its ``Session``."""


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
    """The name of ``TARGETS`` that a word stands for, such as ``jetson`` for ``TensorRT``."""
    return _named(word, _TARGET_NAMES)


def runtime_named(word: str) -> str | None:
    """The name of ``RUNTIMES`` that a word stands for, such as ``tflite`` for ``LiteRT``."""
    return _named(word, _RUNTIME_NAMES)


def _named(word: str, others: dict[str, tuple[str, ...]]) -> str | None:
    plain = word.strip().lower().replace("_", "-").replace(" ", "-")
    return next((name for name, more in others.items() if plain in (name, *more)), None)


def open_session(bundle: Bundle, options: SessionOptions | None = None) -> Session:
    """Loads a bundle on a runtime of its target.

    Args:
        bundle: What to run.
        options: How; by default on the target's usual runtime.

    Raises:
        UsageError: The runtime does not run the target's bundles.
        MissingDependencyError: The runtime is not installed.
        BundleError: The target is not known here, or the runtime does not accept the model.
    """
    return _session(bundle, options.runtime if options else None)(bundle, options)


def check_runtime(bundle: Bundle, runtime: str | None = None) -> None:
    """Raises unless this machine has what a bundle runs on; loads no model.

    Args:
        bundle: What would run.
        runtime: Of ``RUNTIMES``; by default the target's usual one.

    Raises:
        UsageError: The runtime does not run the target's bundles.
        MissingDependencyError: The runtime is not installed.
        BundleError: The target is not known here.
        EdgeKitError: The runtime finds no device to run on.
    """
    _session(bundle, runtime).check_machine()


def _session(bundle: Bundle, runtime: str | None) -> type[Session]:
    target = bundle.manifest.target
    if target not in TARGETS:
        raise BundleError(
            f"{bundle.path} is for {target!r}; this EdgeKit knows {', '.join(TARGETS)}.",
            mend=f"Export the checkpoint again, or upgrade EdgeKit: {install_line(upgrade=True)}",
        )
    allowed = TARGETS[target].runtimes
    runtime = runtime or allowed[0]
    if runtime not in allowed:
        raise UsageError(
            f"Bundles for {target} run on {', '.join(allowed)}, not on {runtime!r}.",
            mend=f"Use --runtime {allowed[0]}, or leave it away.",
        )
    return cast("type[Session]", importlib.import_module(RUNTIMES[runtime]).Session)


def exporter(target: str) -> Exporter:
    """What writes bundles of a target.

    Raises:
        UsageError: The target is not known here.
    """
    return cast("Exporter", importlib.import_module(_target(target).export).Exporter())


def _target(name: str) -> Target:
    if name not in TARGETS:
        near = target_named(name)
        raise UsageError(
            f"The target is one of {', '.join(TARGETS)}, not {name!r}.",
            mend=f"Did you mean {near}?" if near else "",
        )
    return TARGETS[name]
