"""Collects what ``edgekit doctor`` reports, using only the base installation."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import edgekit
from edgekit.doctor.packages import (
    broken_packages,
    missing_packages,
    package_reports,
    target_reports,
    without_broken,
)
from edgekit.doctor.plugins import plugin_reports, plugin_targets
from edgekit.doctor.report import (
    CacheReport,
    CameraReport,
    CpuReport,
    OpenCvReport,
    PythonReport,
    SystemReport,
)
from edgekit.system.installation import foreign, install_line, origin
from edgekit.system.memory import memory_gib
from edgekit.system.telemetry import import_onnxruntime

if TYPE_CHECKING:
    from edgekit.runtime.native.library import Setting

__all__ = ["examine_system"]

_TEGRA_RELEASE = Path("/etc/nv_tegra_release")
"""File of a Jetson, whose first line names the release of its software."""

# x86 and ARM features that determine the speed of integer and half precision.
_FEATURES = (
    *("sse4_2", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16"),
    *("amx_int8", "amx_bf16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve"),
)


def examine_system() -> SystemReport:
    """Describes the machine and the installation. It starts no camera and loads no model."""
    broken = broken_packages()
    with without_broken(broken):
        return _examine(broken)


def _examine(broken: Mapping[str, str]) -> SystemReport:
    opencv = _opencv()
    packages = package_reports(opencv)
    bundle, problem = _default_bundle()
    kernel, wrong_kernel = _kernel()
    cache, wrong_cache = _cache()
    problems = (*broken.values(), problem, wrong_kernel, wrong_cache, _stranger())
    return SystemReport(
        edgekit=edgekit.__version__,
        system=PythonReport(
            platform.python_version(),
            platform.platform(terse=True),
            platform.machine(),
            memory_gib(),
        ),
        cpu=CpuReport(_cpu_model(), _cores(), _cpu_features()),
        gpus=_gpus(),
        cameras=_cameras(),
        packages=packages,
        targets=(*target_reports(packages, broken), *plugin_targets()),
        plugins=plugin_reports(),
        providers=_providers(),
        opencv=opencv,
        kernel=kernel,
        bundle=bundle,
        cache=cache,
        problems=(*missing_packages(packages), *filter(None, problems)),
    )


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


def _providers() -> tuple[str, ...]:
    try:
        onnxruntime = import_onnxruntime()
    except ImportError:
        return ()
    return tuple(str(name) for name in onnxruntime.get_available_providers())


def _opencv() -> OpenCvReport | None:
    try:
        import cv2
    except ImportError:
        return None
    registry = cv2.videoio_registry
    # A backend that OpenCV names may be a plugin that is not installed.
    there = filter(registry.hasBackend, registry.getBackends())
    backends = tuple(dict.fromkeys(map(registry.getBackendName, there)))
    return OpenCvReport(cv2.__version__, backends)


def _kernel() -> tuple[Setting | None, str]:
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
    return found, f"{problem}{rebuild()}" if slow else ""


def _cache() -> tuple[CacheReport | None, str]:
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
    return CacheReport(str(found.folder), found.size), ""


def _gpus() -> tuple[str, ...]:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        lines = _read(_TEGRA_RELEASE).splitlines()
        return (lines[0].strip("# "),) if lines else ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())


def _cameras() -> tuple[CameraReport, ...]:
    """Describes the cameras without starting them, because they may be in use."""
    if not sys.platform.startswith("linux"):
        return ()
    try:
        from edgekit.media.sources.cameras.v4l2 import cameras
    except ImportError:
        return ()  # the missing package is reported elsewhere
    return tuple(
        CameraReport(each.device, each.name, each.driver, each.formats, each.problem)
        for each in cameras()
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    model = _cpu_info().get("model name") or platform.processor() or platform.machine()
    board = _read(Path("/proc/device-tree/model")).strip("\0\n ")
    return f"{model} ({board})" if board else model


def _cpu_features() -> tuple[str, ...]:
    info = _cpu_info()
    has = set((info.get("flags") or info.get("Features") or "").split())
    return tuple(name for name in _FEATURES if name in has)


def _cpu_info() -> dict[str, str]:
    """Returns the first processor of ``/proc/cpuinfo``; empty if there is no such file."""
    lines = _read(Path("/proc/cpuinfo")).split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
