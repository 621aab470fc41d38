"""Importing OpenVINO without a word to anybody."""

from __future__ import annotations

import re
from typing import Any

from edgekit._telemetry import import_silently
from edgekit.errors import MissingDependencyError
from edgekit.targets.base import reason_of

__all__ = ["import_openvino", "import_quietly", "openvino_reason"]

_PLACES = re.compile(r"(Exception from|Check '.*?' failed at) \S+:\d+:")


def import_openvino(purpose: str) -> Any:
    """The package ``openvino``.

    Args:
        purpose: What needs it, as the beginning of a sentence.

    Raises:
        MissingDependencyError: It is not installed.
    """
    return import_quietly("openvino", "openvino", purpose)


def import_quietly(module: str, extra: str, purpose: str) -> Any:
    """A package that would report its import to a web service.

    Args:
        module: Its name.
        extra: Of EdgeKit's extras, the one that installs it.
        purpose: What needs it, as the beginning of a sentence.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        return import_silently(module)
    except ImportError as error:
        raise MissingDependencyError.for_extra(module, extra, purpose) from error


def openvino_reason(error: Exception) -> str:
    """What OpenVINO said of a failure, in one line, without the places in its source."""
    return reason_of(Exception(_PLACES.sub("", str(error))))
