"""Keeps the libraries that EdgeKit loads from reporting to their makers, or to anybody."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from types import ModuleType

__all__ = ["OWN_PROCESS", "import_silently", "silence_environment", "silence_onnxruntime"]

_log = logging.getLogger(__name__)

_ONNXRUNTIME = "ORT_DISABLE_TELEMETRY"

OWN_PROCESS = {
    _ONNXRUNTIME: "1",
    # Many libraries respect this one: https://donottrack.sh
    "DO_NOT_TRACK": "1",
    # litert-torch loads transformers, which loads the client of the Hugging Face hub.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Variables of every process that EdgeKit starts, whatever the user has set them to."""

_TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""torch makes this folder when it is imported, by default one that stays in ``/tmp``."""

_REPORTING = ("openvino_telemetry",)
"""Packages that do nothing but report; OpenVINO and NNCF work where they are not installed."""


def silence_environment(environment: MutableMapping[str, str]) -> None:
    """Sets, in the environment of a process of EdgeKit's own, all that stops reports.

    It also names a folder for what torch would compile, which EdgeKit never asks it to.
    """
    environment.update(OWN_PROCESS)
    # One that is there: nothing is made, and nobody else can have put compiled code into it.
    environment.setdefault(_TORCH_CACHE, str(Path(__file__).parent))


def silence_onnxruntime() -> None:
    """Lets ONNX Runtime report nothing in this process, which may be another program's.

    ONNX Runtime reads the variable once, when it is imported. Later nothing stops it, its own
    ``disable_telemetry_events()`` included; then a warning says so.
    """
    if "onnxruntime" in sys.modules and os.environ.get(_ONNXRUNTIME, "0") == "0":
        _log.warning(
            "onnxruntime was imported before EdgeKit, and %s=1 was not set: from 1.32 on it may "
            "report to its maker from this process. Set the variable, or import EdgeKit first.",
            _ONNXRUNTIME,
        )
    os.environ[_ONNXRUNTIME] = "1"


def import_silently(module: str) -> ModuleType:
    """A module whose import would report it; the part that reports is not found meanwhile.

    Raises:
        ImportError: The module cannot be imported.
    """
    absent = object()
    hidden = {name: sys.modules.get(name, absent) for name in _REPORTING}
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(module)
    finally:
        for name, before in hidden.items():
            if isinstance(before, ModuleType):
                sys.modules[name] = before
            else:
                del sys.modules[name]
