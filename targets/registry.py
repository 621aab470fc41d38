"""The targets by name; imported only when one is asked for. A new target adds a line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.targets.base import Exporter, Session

__all__ = ["TARGETS", "exporter", "open_session"]

TARGETS: dict[str, str] = {
    "onnx": "edgekit.targets.onnx",
}
"""Name of a target, and the package that holds its ``session.Session`` and ``export.Exporter``."""


def open_session(bundle: Bundle, *, threads: int = 0) -> Session:
    """Loads a bundle on the runtime of its target.

    Raises:
        UsageError: The target is not known here.
        MissingDependencyError: Its runtime is not installed.
        BundleError: Its runtime does not accept the model.
    """
    session = importlib.import_module(f"{_package(bundle.manifest.target)}.session")
    return cast("Session", session.Session(bundle, threads=threads))


def exporter(target: str) -> Exporter:
    """What writes bundles of a target.

    Raises:
        UsageError: The target is not known here.
    """
    return cast("Exporter", importlib.import_module(f"{_package(target)}.export").Exporter())


def _package(target: str) -> str:
    if target not in TARGETS:
        raise UsageError(f"The target is one of {', '.join(TARGETS)}, not {target!r}.")
    return TARGETS[target]
