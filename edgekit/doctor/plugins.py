"""Describes the packages that extend EdgeKit, and the targets that they add."""

from __future__ import annotations

import importlib.util

from edgekit.doctor.report import PluginReport, TargetReport
from edgekit.errors import EdgeKitError
from edgekit.system.entry_points import Plugin, installed_plugins
from edgekit.system.plugins import Registry, import_object
from edgekit.targets.registry import TARGETS, session_class

__all__ = ["plugin_reports", "plugin_targets"]

_REGISTRIES = {
    "edgekit.targets": "edgekit.targets.registry:TARGETS",
    "edgekit.sources": "edgekit.media.sources.registry:SOURCES",
    "edgekit.sinks": "edgekit.media.sinks.registry:SINKS",
    "edgekit.datasets": "edgekit.datasets.layouts:DATASETS",
    "edgekit.networks": "edgekit.models.registry:ARCHITECTURES",
}
"""Registries by the group of their entry points; imported only if a package adds to one."""


def plugin_reports() -> tuple[PluginReport, ...]:
    """Describes each part that a package adds, and its problem if it cannot be used."""
    return tuple(PluginReport(*one, problem=_problem(one)) for one in installed_plugins())


def _problem(plugin: Plugin) -> str | None:
    if plugin.group not in _REGISTRIES:
        return (
            f"The plug-in {plugin.name!r} of {plugin.distribution} {plugin.version} is in the "
            f"group {plugin.group}; EdgeKit has {', '.join(_REGISTRIES)}."
        )
    try:
        registry = import_object(_REGISTRIES[plugin.group])
    except ImportError as error:
        return f"The plug-in {plugin.name!r} in {plugin.group} was not checked: {error}."
    assert isinstance(registry, Registry)
    problem = registry.problem(plugin)
    return None if problem is None else f"{problem.message} {problem.hint}".strip()


def plugin_targets() -> tuple[TargetReport, ...]:
    """Describes whether bundles for the targets of packages can be run and exported here."""
    return tuple(
        TargetReport(
            name,
            runs=any(_runs(name, runtime) for runtime in target.runtimes),
            exports=_exists("torch") and _exists(target.exporter.partition(":")[0]),
        )
        for name, target in TARGETS.usable()
        if name not in TARGETS.own
    )


def _runs(target: str, runtime: str) -> bool:
    try:
        with TARGETS.attributed(target):
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
