"""Collects what ``edgekit doctor`` reports about packages that extend EdgeKit."""

from __future__ import annotations

import importlib.util
from typing import Any

from edgekit.datasets.layouts import DATASETS
from edgekit.errors import EdgeKitError
from edgekit.media.sinks.registry import SINKS
from edgekit.media.sources.registry import SOURCES
from edgekit.models.registry import ARCHITECTURES
from edgekit.system.plugins import Registry
from edgekit.targets.registry import TARGETS, session_class

__all__ = ["plugin_report", "plugin_targets"]

_REGISTRIES: tuple[Registry[Any], ...] = (TARGETS, SOURCES, SINKS, DATASETS, ARCHITECTURES)


def plugin_report() -> list[dict[str, str | None]]:
    """Describes each part that a package adds, and its problem if it cannot be used."""
    found: list[dict[str, str | None]] = []
    for registry in _REGISTRIES:
        for plugin in registry.plugins():
            error = registry.problem(plugin)
            problem = None if error is None else f"{error.message} {error.hint}".strip()
            found.append({**plugin._asdict(), "problem": problem})
    return found


def plugin_targets() -> list[dict[str, Any]]:
    """Describes whether bundles for the targets of packages can be run and exported here."""
    return [
        {
            "name": name,
            "runs": any(_runs(name, runtime) for runtime in target.runtimes),
            "exports": _exists("torch") and _exists(target.exporter.partition(":")[0]),
            "missing": [],
            "install": [],
        }
        for name, target in TARGETS.usable()
        if name not in TARGETS.own
    ]


def _runs(target: str, runtime: str) -> bool:
    try:
        session_class(target, runtime).check_machine()
    except EdgeKitError:
        return False
    return True


def _exists(module: str) -> bool:
    """Returns whether a module can be found; an exporter is not imported, as it brings torch."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
