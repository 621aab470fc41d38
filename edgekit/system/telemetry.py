"""Stops the libraries that EdgeKit loads from reporting to anyone."""

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
    # Many libraries respect this variable: https://donottrack.sh
    "DO_NOT_TRACK": "1",
    # litert-torch loads transformers, which loads the Hugging Face hub client.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Variables of every process that EdgeKit starts, which override the user's settings."""

_TORCH_CACHE = "TORCHINDUCTOR_CACHE_DIR"
"""Variable for the folder that torch creates when imported; its default stays in ``/tmp``."""

_REPORTING = ("openvino_telemetry",)
"""Packages that only report; OpenVINO and NNCF work without them."""


def silence_environment(environment: MutableMapping[str, str]) -> None:
    """Sets everything that stops reports, in the environment of a process of EdgeKit's own.

    It also names a folder for code compiled by torch, which EdgeKit never asks torch to compile.
    """
    environment.update(OWN_PROCESS)
    # An existing folder: torch creates nothing, and nobody else can have put compiled code into it.
    environment.setdefault(_TORCH_CACHE, str(Path(__file__).parent))


def silence_onnxruntime() -> None:
    """Stops ONNX Runtime from reporting in this process, which may be another program's.

    ONNX Runtime reads the variable once, when it is imported. Later nothing stops it, not even its
    own ``disable_telemetry_events()``; a warning then says so.
    """
    if "onnxruntime" in sys.modules and os.environ.get(_ONNXRUNTIME, "0") == "0":
        _log.warning(
            "onnxruntime was imported before EdgeKit, and %s=1 was not set: from 1.32 on it may "
            "report to its maker from this process. Set the variable, or import EdgeKit first.",
            _ONNXRUNTIME,
        )
    os.environ[_ONNXRUNTIME] = "1"


def import_silently(module: str) -> ModuleType:
    """Imports a module whose import would report it, while the reporting package is hidden.

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
