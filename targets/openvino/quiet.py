"""Importing OpenVINO without a word to anybody."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

from edgekit.errors import MissingDependencyError
from edgekit.targets.base import reason_of

__all__ = ["import_openvino", "openvino_reason"]

_TELEMETRY = "openvino_telemetry"
_PLACES = re.compile(r"(Exception from|Check '.*?' failed at) \S+:\d+:")


def import_openvino(purpose: str) -> Any:
    """The package ``openvino``.

    Args:
        purpose: What needs it, as the beginning of a sentence.

    Raises:
        MissingDependencyError: It is not installed.
    """
    # Its import reports itself to a web service, waits for the answer and leaves files in the home
    # folder. Where the package that does so is missing, OpenVINO takes a stand-in of its own.
    hidden = _TELEMETRY not in sys.modules
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingDependencyError.for_extra("openvino", "openvino", purpose) from error
    finally:
        if hidden:
            del sys.modules[_TELEMETRY]


def openvino_reason(error: Exception) -> str:
    """What OpenVINO said of a failure, in one line, without the places in its source."""
    return reason_of(Exception(_PLACES.sub("", str(error))))
