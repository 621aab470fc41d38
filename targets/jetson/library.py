"""DEVICE. Loads TensorRT on demand, and collects its error messages."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Protocol, TypeVar

from edgekit._parameters import parameter
from edgekit.errors import EdgeKitError, MissingDependencyError
from edgekit.system.installation import install_line

__all__ = ["GPU_HINT", "TensorRtLog", "created", "make_log", "said", "tensorrt"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

GPU_HINT = (
    "Check that the GPU works (nvidia-smi, or jtop on a Jetson) and has free memory. Then try "
    "again."
)
"""Hint for an error that TensorRT reports without its cause."""

_OLDEST = (10, 3)
_KEPT = 20


class TensorRtLog(Protocol):
    """An ``ILogger`` of TensorRT that keeps the last errors.

    Attributes:
        lines: The last errors, oldest first.
    """

    lines: list[str]


def tensorrt() -> ModuleType:
    """Imports and returns the module ``tensorrt``.

    Raises:
        MissingDependencyError: It is not installed, or finds no TensorRT on this machine.
        EdgeKitError: TensorRT is older than 10.3.
    """
    try:
        module = importlib.import_module("tensorrt")
    except (ImportError, OSError) as error:  # OSError: its libraries are missing
        raise MissingDependencyError(
            "Running on TensorRT needs the package 'tensorrt', which cannot be imported "
            f"({error}).",
            hint="To run the same model on the CPU, give run, eval or bench "
            f"{parameter('runtime', 'onnxruntime')}. On "
            "a Jetson, make a virtual environment that has the system's packages (python3 -m venv "
            "--system-site-packages FOLDER), and run in it: "
            f"sudo apt install python3-libnvinfer && {install_line('jetson')}",
        ) from error
    version = tuple(int(part) for part in module.__version__.split(".")[:2])
    if version < _OLDEST:
        raise EdgeKitError(
            f"Expected TensorRT {'.'.join(map(str, _OLDEST))} or later; found "
            f"{module.__version__}.",
            hint=f"Upgrade to JetPack 6.1 or later, or use {parameter('runtime', 'onnxruntime')}.",
        )
    return module


def make_log(trt: ModuleType) -> TensorRtLog:
    """Returns an ``ILogger`` that keeps the last errors in ``lines`` and logs everything."""
    severity = trt.ILogger.Severity
    errors = (severity.INTERNAL_ERROR, severity.ERROR)

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]  # known at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: object, msg: str) -> None:
            if severity in errors:
                self.lines = [*self.lines, msg][-_KEPT:]
            _log.debug("TensorRT: %s", msg)

    log: TensorRtLog = Log()
    return log


def said(log: TensorRtLog) -> str:
    """Returns the logged errors, one per line, or a sentence that there are none."""
    lines = [f"  {' '.join(line.split())}" for line in log.lines]
    return "\n".join(lines) or "  (it gave no reason)"


def created(log: TensorRtLog, kind: Callable[..., T | None], *arguments: object) -> T:
    """Creates a TensorRT object.

    Raises:
        EdgeKitError: TensorRT cannot create it; the message quotes TensorRT.
    """
    try:
        found = kind(*arguments)
    except (TypeError, RuntimeError, MemoryError) as error:  # errors that its constructors raise
        raise EdgeKitError(
            f"TensorRT cannot start ({error}):\n{said(log)}",
            hint=GPU_HINT,
        ) from error
    if found is None:
        raise EdgeKitError(
            f"TensorRT could not create {getattr(kind, '__name__', kind)}:\n{said(log)}",
            hint="Free some memory and try again.",
        )
    return found
