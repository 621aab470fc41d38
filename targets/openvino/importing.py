"""Imports OpenVINO without telemetry and without messages."""

from __future__ import annotations

import re
import threading
from types import ModuleType
from typing import TYPE_CHECKING

from edgekit.errors import MissingDependencyError
from edgekit.system.telemetry import import_without_reports
from edgekit.targets.base import reason_of

if TYPE_CHECKING:
    from openvino import Core

__all__ = ["import_from_extra", "import_openvino", "openvino_core", "openvino_reason"]

_PLACES = re.compile(r"(Exception from|Check '.*?' failed at) \S+:\d+:")
_CORES: list[Core] = []
_LOCK = threading.Lock()


def import_openvino(purpose: str) -> ModuleType:
    """Imports and returns the package ``openvino``.

    Args:
        purpose: Feature that needs it, as the beginning of a sentence.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    return import_from_extra("openvino", "openvino", purpose)


def openvino_core(purpose: str) -> Core:
    """Returns the ``openvino.Core`` of this process.

    It stays until the process ends. A core gives the thread that makes it a stack for signal
    handlers, and frees that stack with itself: if another thread drops the core, as garbage
    collection may, the next signal in the first one, such as Ctrl-C, ends the process.

    Args:
        purpose: Feature that needs it, as the beginning of a sentence.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    openvino = import_openvino(purpose)
    with _LOCK:
        if not _CORES:
            _CORES.append(openvino.Core())
        return _CORES[0]


def import_from_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Imports and returns a package that would otherwise report its import to a web service.

    Args:
        module: Name of the module.
        extra: EdgeKit extra that installs the package.
        purpose: Feature that needs it, as the beginning of a sentence.

    Raises:
        MissingDependencyError: The package is not installed.
    """
    try:
        return import_without_reports(module)
    except ImportError as error:
        raise MissingDependencyError.for_extra(module, extra, purpose) from error


def openvino_reason(error: Exception) -> str:
    """Returns OpenVINO's error message in one line, without its source locations."""
    return reason_of(Exception(_PLACES.sub("", str(error))))
