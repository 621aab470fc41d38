"""Stops the libraries that EdgeKit loads from reporting to anyone."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
from collections.abc import MutableMapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

__all__ = ["OWN_PROCESS", "import_onnxruntime", "import_without_reports", "opt_out"]

_ONNXRUNTIME = "ORT_DISABLE_TELEMETRY"
_IMPORTING = threading.RLock()
_opted_out: list[ModuleType] = []
"""ONNX Runtime, once it was imported so that it does not report."""

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


def opt_out(environment: MutableMapping[str, str]) -> None:
    """Sets everything that stops reports, in the environment of a process of EdgeKit's own.

    It also names a folder for code compiled by torch, which EdgeKit never asks torch to compile.
    """
    environment.update(OWN_PROCESS)
    # An existing folder: torch creates nothing, and nobody else can have put compiled code into it.
    environment.setdefault(_TORCH_CACHE, str(Path(__file__).parent))


def import_onnxruntime() -> ModuleType:
    """Imports ONNX Runtime so that it does not report from this process, another program's or not.

    ONNX Runtime reads an environment variable once, when it is imported. Later nothing stops it,
    not even its own ``disable_telemetry_events()``; a warning then says so. The variable has its
    own value again when this function returns.

    Raises:
        ImportError: ONNX Runtime is not installed, or cannot be imported.
    """
    with _IMPORTING:
        if "onnxruntime" in sys.modules:
            if not _opted_out and os.environ.get(_ONNXRUNTIME, "0") == "0":
                _warn("onnxruntime", f"Set {_ONNXRUNTIME}=1, or import it through EdgeKit first.")
            return importlib.import_module("onnxruntime")
        before = os.environ.get(_ONNXRUNTIME)
        os.environ[_ONNXRUNTIME] = "1"
        try:
            found = importlib.import_module("onnxruntime")
            _opted_out.append(found)
            return found
        finally:
            if before is None:
                del os.environ[_ONNXRUNTIME]
            else:
                os.environ[_ONNXRUNTIME] = before


def import_without_reports(module: str) -> ModuleType:
    """Imports a module whose import would report it, without the package that reports.

    Only this thread does not find that package, and only during the import. If the program has
    imported it before, it stays, and a warning says that it may report.

    Raises:
        ImportError: The module cannot be imported.
    """
    if module in sys.modules:
        return importlib.import_module(module)
    for name in _REPORTING:
        if name in sys.modules:
            _warn(name, "Opt out with its command opt_in_out, or import EdgeKit first.")
    hiding = _Hiding()
    sys.meta_path.insert(0, hiding)
    try:
        return importlib.import_module(module)
    finally:
        sys.meta_path.remove(hiding)


class _Hiding:
    """Hides the packages that report from the imports of one thread.

    It has no base class, because ``importlib.abc`` takes every command 10 ms to import.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if threading.get_ident() == self._thread and fullname.partition(".")[0] in _REPORTING:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


@functools.cache
def _warn(module: str, advice: str) -> None:
    """Warns once that a module was imported before EdgeKit could keep it from reporting."""
    import logging

    logging.getLogger(__name__).warning(
        "%s was imported before EdgeKit, and may send telemetry to its vendor from this "
        "process. %s",
        module,
        advice,
    )
