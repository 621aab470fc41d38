"""Finds targets and inference runtimes by name; imports each only when it is used.

A new target adds an entry to ``TARGETS``, or, from a package of its own, an entry point in the
group ``edgekit.targets``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from edgekit._checks import check_choice
from edgekit._parameters import parameter
from edgekit.errors import BundleError
from edgekit.system.installation import install_line, requirements
from edgekit.system.plugins import Registry

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.targets.base import Session, SessionOptions
    from edgekit.targets.exporter import Exporter

__all__ = [
    "RUNTIMES",
    "TARGETS",
    "Target",
    "check_runtime",
    "check_target",
    "exporter",
    "extras_of",
    "open_session",
    "runtime_named",
    "runtime_names",
    "runtime_packages",
    "runtimes_of",
    "session_class",
    "target_named",
]


@dataclass(frozen=True, slots=True)
class Target:
    """A format of bundles. Its classes are named as ``module:Class``, and imported when used.

    Attributes:
        exporter: Class that writes its bundles, derived from ``edgekit.targets.exporter.Exporter``.
        sessions: Classes that run its bundles, derived from ``edgekit.targets.base.Session``, by
            the name of the runtime; the default first.
        quantizer: Class that makes its INT8 bundles, derived from
            ``edgekit.quantization.base.Quantizer``; None if there is none.
        hardware: Hardware that it is for, for the help of commands.
        words: Other words for the target and its default runtime.
        runs_with: Distributions that its default runtime needs.
        exports_with: Distributions that exporting for it needs.
    """

    exporter: str
    sessions: Mapping[str, str]
    quantizer: str | None = None
    hardware: str = ""
    words: tuple[str, ...] = ()
    runs_with: tuple[str, ...] = ()
    exports_with: tuple[str, ...] = ()

    @property
    def runtimes(self) -> tuple[str, ...]:
        """Names of the runtimes that run its bundles, the default first."""
        return tuple(self.sessions)


_ONNX_RUNTIME = "edgekit.targets.onnx.session:OnnxSession"
_ONNX_EXPORT = ("torch", "onnx", "onnxscript", "safetensors")

_OWN = {
    "onnx": Target(
        "edgekit.targets.onnx.export:OnnxExporter",
        {"onnxruntime": _ONNX_RUNTIME},
        "edgekit.quantization.onnx.quantizer:OnnxQuantizer",
        hardware="any CPU",
        words=("onnxruntime", "ort"),
        runs_with=("onnxruntime",),
        exports_with=_ONNX_EXPORT,
    ),
    "openvino": Target(
        "edgekit.targets.openvino.export:OpenVinoExporter",
        {"openvino": "edgekit.targets.openvino.session:OpenVinoSession"},
        "edgekit.quantization.openvino.quantizer:OpenVinoQuantizer",
        hardware="Intel CPUs, GPUs and NPUs",
        words=("ov", "vino", "ir"),
        runs_with=("openvino",),
        exports_with=(*_ONNX_EXPORT, "openvino"),
    ),
    "tflite": Target(
        "edgekit.targets.tflite.export:TfliteExporter",
        {"tflite": "edgekit.targets.tflite.session:TfliteSession"},
        "edgekit.quantization.tflite.quantizer:TfliteQuantizer",
        hardware="phones and Raspberry-class boards",
        words=("litert", "tensorflow-lite", "tensorflow"),
        runs_with=("ai-edge-litert",),
        exports_with=("torch", "safetensors", "litert-torch", "ai-edge-quantizer"),
    ),
    "jetson": Target(
        "edgekit.targets.jetson.export:JetsonExporter",
        {
            "tensorrt": "edgekit.targets.jetson.session:TensorRtSession",
            "onnxruntime": _ONNX_RUNTIME,
        },
        "edgekit.quantization.jetson:JetsonQuantizer",
        hardware="NVIDIA Jetson",
        words=("tensorrt", "trt", "orin", "jetpack"),
        runs_with=("tensorrt", "cuda-bindings"),
        exports_with=(*_ONNX_EXPORT, "onnxruntime"),
    ),
    "ncnn": Target(
        "edgekit.targets.ncnn.export:NcnnExporter",
        {"ncnn": "edgekit.targets.ncnn.session:NcnnSession"},
        "edgekit.quantization.ncnn.quantizer:NcnnQuantizer",
        hardware="small ARM boards",
        words=("pnnx",),
        runs_with=("ncnn",),
        exports_with=("torch", "safetensors", "pnnx", "ncnn"),
    ),
    "rknn": Target(
        "edgekit.targets.rknn.export:RknnExporter",
        {
            "rknn": "edgekit.targets.rknn.session:RknnSession",
            "rknn-simulator": "edgekit.targets.rknn.simulator:RknnSimulatorSession",
        },
        "edgekit.quantization.rknn:RknnQuantizer",
        hardware="Rockchip",
        words=("rockchip", "rknn-toolkit2", "rknn-toolkit-lite2", "rknnlite", "rk3588"),
        runs_with=("rknn-toolkit-lite2",),
        exports_with=(*_ONNX_EXPORT, "rknn-toolkit2"),
    ),
    "qnn": Target(
        "edgekit.targets.qnn.export:QnnExporter",
        {"qnn": "edgekit.targets.qnn.session:QnnSession", "onnxruntime": _ONNX_RUNTIME},
        "edgekit.quantization.qnn:QnnQuantizer",
        hardware="Qualcomm",
        words=("qualcomm", "snapdragon", "hexagon", "htp", "onnxruntime-qnn"),
        runs_with=("onnxruntime-qnn",),
        exports_with=(*_ONNX_EXPORT, "onnxruntime-qnn"),
    ),
}

TARGETS: Registry[Target] = Registry(
    "edgekit.targets",
    _OWN,
    lambda part: isinstance(part, Target) and isinstance(part.sessions, dict) and part.sessions,
    "a Target with a dictionary of sessions",
)
"""Targets by the name that ``--target`` takes."""

RUNTIMES = tuple(dict.fromkeys(name for target in _OWN.values() for name in target.runtimes))
"""EdgeKit's own runtimes, by the name that ``--runtime`` takes."""


def target_named(word: str) -> str | None:
    """Returns the name in ``TARGETS`` for a word, such as ``jetson`` for ``TensorRT``."""
    plain = _plain(word)
    for name, target in _OWN.items():
        if plain in map(_plain, (name, *target.words)):
            return name
    return word if word in TARGETS else None


def runtime_named(word: str) -> str | None:
    """Returns the name of a runtime for a word, such as ``tflite`` for ``LiteRT``."""
    for name in RUNTIMES:
        if _plain(word) == _plain(name):
            return name
    target = _OWN.get(target_named(word) or "")
    return target.runtimes[0] if target else (word if word in runtime_names() else None)


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, word.lower()))


def check_target(target: str | None) -> None:
    """Checks that a target is a name in ``TARGETS``; None passes.

    Raises:
        UsageError: It is not; the hint suggests the target that goes by that name.
    """
    near = None if target is None or target in TARGETS else target_named(target)
    check_choice("target", target, TARGETS, hint=f"Did you mean {near}?" if near else "")


def runtime_names() -> tuple[str, ...]:
    """Returns the names of all runtimes: EdgeKit's own, and those that packages add."""
    added = (name for _, target in TARGETS.usable() for name in target.runtimes)
    return tuple(dict.fromkeys((*RUNTIMES, *added)))


def runtime_packages() -> set[str]:
    """Returns the distributions of EdgeKit's own runtimes."""
    return {package for target in _OWN.values() for package in target.runs_with}


def extras_of(targets: Iterable[str]) -> frozenset[str]:
    """Returns the extras of EdgeKit that install what the default runtimes of targets need."""
    known = [TARGETS[target] for target in targets if target in TARGETS]
    needed = {package for target in known for package in target.runs_with}
    found = {each.extra for each in requirements() if each.name in needed}
    return frozenset(found - {""})


def open_session(bundle: Bundle, options: SessionOptions | None = None) -> Session:
    """Loads a bundle on a runtime of its target.

    Args:
        bundle: Bundle to run.
        options: Options for running it; the default is the target's default runtime.

    Raises:
        UsageError: The runtime does not support the target's bundles.
        MissingDependencyError: The runtime is not installed.
        BundleError: The target is unknown, or the runtime refuses the model.
        PluginError: The target comes from a package and cannot be used.
    """
    session = _session(bundle, options.runtime if options else None)
    with TARGETS.attributed(bundle.manifest.target):
        return session(bundle, options)


def check_runtime(bundle: Bundle, runtime: str | None = None) -> None:
    """Raises unless this machine has everything that a bundle needs to run; loads no model.

    Args:
        bundle: Bundle to check.
        runtime: Name in ``RUNTIMES``; by default the target's default runtime.

    Raises:
        UsageError: The runtime does not support the target's bundles.
        MissingDependencyError: The runtime is not installed.
        BundleError: The target is unknown.
        PluginError: The target comes from a package and cannot be used.
        EdgeKitError: The runtime finds no device.
    """
    session = _session(bundle, runtime)
    with TARGETS.attributed(bundle.manifest.target):
        session.check_machine()


def _session(bundle: Bundle, runtime: str | None) -> type[Session]:
    allowed = runtimes_of(bundle)
    target = bundle.manifest.target
    runtime = runtime or allowed[0]
    hint = f"Leave out {parameter('runtime')} to use {allowed[0]}."
    check_choice("runtime", runtime, allowed, where=f"for the target {target}", hint=hint)
    return session_class(target, runtime)


def runtimes_of(bundle: Bundle) -> tuple[str, ...]:
    """Returns the names of the runtimes that run a bundle, the default first.

    Raises:
        BundleError: The bundle's target is unknown.
        PluginError: The bundle's target comes from a package and cannot be used.
    """
    target = bundle.manifest.target
    if target not in TARGETS:
        raise BundleError(
            f"{bundle.path} is for {target!r}; this version of EdgeKit knows {', '.join(TARGETS)}.",
            hint="Install the package that adds this target, export the checkpoint again, or "
            f"upgrade EdgeKit: {install_line(upgrade=True)}",
        )
    return TARGETS[target].runtimes


def session_class(target: str, runtime: str) -> type[Session]:
    """Returns the class that runs a target's bundles on a runtime.

    Args:
        target: Name in ``TARGETS``.
        runtime: One of the target's ``runtimes``.

    Raises:
        PluginError: The class comes from a package and cannot be used.
    """
    from edgekit.targets import base

    found = TARGETS.import_class(target, TARGETS[target].sessions[runtime], base.Session)
    return cast("type[Session]", found)


def exporter(target: str) -> Exporter:
    """Returns the exporter of a target.

    Raises:
        UsageError: The target is unknown.
        PluginError: The target comes from a package and cannot be used.
    """
    from edgekit.targets import exporter as base

    check_target(target)
    found = TARGETS.import_class(target, TARGETS[target].exporter, base.Exporter)
    return cast("type[Exporter]", found)()
