"""DEVICE. Loads Qualcomm's execution provider into ONNX Runtime."""

from __future__ import annotations

import importlib
import platform
import sys
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

from edgekit.errors import EdgeKitError, MissingDependencyError
from edgekit.system.telemetry import import_onnxruntime
from edgekit.targets.base import reason_of
from edgekit.targets.qnn.chips import Chip

__all__ = ["CONTEXT", "EMULATOR", "add_provider", "is_emulated", "provider"]

CONTEXT = "context.onnx"
"""File of a bundle with the network as compiled for one chip."""

EMULATOR = "Qualcomm's HTP emulator"

_NAME = "QNNExecutionProvider"
_OLDEST_PYTHON = (3, 11)
_loading = threading.Lock()
_loaded: list[ModuleType] = []


def is_emulated() -> bool:
    """Returns whether Qualcomm's library computes on an emulator on this machine."""
    return platform.machine().lower() in ("x86_64", "amd64")


def provider() -> ModuleType:
    """Returns the package ``onnxruntime_qnn`` after registering its library, once per process.

    Raises:
        MissingDependencyError: The package is not installed, or ONNX Runtime is too old for it.
        EdgeKitError: Its library cannot be loaded.
    """
    with _loading:
        if _loaded:
            return _loaded[0]
        try:
            onnxruntime = import_onnxruntime()
            package = importlib.import_module("onnxruntime_qnn")
        except ImportError as error:
            raise _missing(error) from error
        register = getattr(onnxruntime, "register_execution_provider_library", None)
        if register is None:
            raise MissingDependencyError(
                "Running on QNN needs ONNX Runtime 1.24.2 or later; found "
                f"{onnxruntime.__version__}.",
                hint='Run: pip install -U "onnxruntime>=1.24.2"',
            )
        library = package.get_library_path()
        try:
            register(_NAME, library)
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise EdgeKitError(
                f"ONNX Runtime cannot load Qualcomm's library {library}: {reason_of(error)}",
                hint="Check that the wheel of onnxruntime-qnn is for this machine: pip install "
                "--force-reinstall onnxruntime-qnn",
            ) from error
        _loaded.append(package)
        return package


class _SessionOptions(Protocol):
    def add_provider_for_devices(
        self, devices: Sequence[object], settings: dict[str, str], /
    ) -> None: ...


def add_provider(options: _SessionOptions, chip: Chip) -> None:
    """Adds the neural processor to the options of an ONNX Runtime session.

    Args:
        options: An ``onnxruntime.SessionOptions``.
        chip: Chip that the model is or will be compiled for.

    Raises:
        MissingDependencyError: A package is not installed.
        EdgeKitError: The library cannot be loaded, or finds no device.
    """
    package, onnxruntime = provider(), import_onnxruntime()
    devices = [one for one in onnxruntime.get_ep_devices() if one.ep_name == _NAME]
    if not devices:
        raise EdgeKitError(
            "Qualcomm's library finds no neural processor on this machine.",
            hint="Check that the chip is one of Qualcomm's with a Hexagon processor, that its "
            "driver (fastrpc) is loaded, and that your user may open /dev/fastrpc-cdsp.",
        )
    processors = [one for one in devices if one.device.type.name == "NPU"]
    settings = {"backend_path": package.get_qnn_htp_path()}
    settings |= {"soc_model": str(chip.soc_model), "htp_arch": str(chip.htp_arch)}
    options.add_provider_for_devices((processors or devices)[:1], settings)


def _missing(error: ImportError) -> MissingDependencyError:
    if sys.version_info < _OLDEST_PYTHON:
        return MissingDependencyError(
            "The package onnxruntime-qnn needs Python 3.11 or later; found "
            f"{platform.python_version()}.",
            hint="Install EdgeKit in an environment of a newer Python.",
        )
    return MissingDependencyError.for_extra(
        error.name or "onnxruntime_qnn", "qnn", "Running a bundle for the target qnn"
    )
