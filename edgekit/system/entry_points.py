"""Reads the entry points by which installed packages extend EdgeKit; imports no package."""

from __future__ import annotations

import functools
import logging
import sys
from typing import TYPE_CHECKING, NamedTuple

from edgekit.system.distributions import metadata_text

if TYPE_CHECKING:
    from importlib.metadata import Distribution

__all__ = ["Plugin", "installed_plugins"]

_LOG = logging.getLogger(__name__)
_PREFIX = "edgekit."


class Plugin(NamedTuple):
    """An entry point of an installed package.

    Attributes:
        group: Group of the entry point, such as ``edgekit.targets``.
        name: Name of the part.
        value: The part, as ``module:Object``.
        distribution: Name of the distribution that adds it.
        version: Version of the distribution.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str


def installed_plugins() -> tuple[Plugin, ...]:
    """Returns the entry points of all groups, sorted by group, name and distribution."""
    return _plugins(tuple(sys.path))


@functools.lru_cache(maxsize=1)
def _plugins(path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """Returns all entry points for EdgeKit on an import path, sorted."""
    # This imports the email package, and most runs do not need it.
    from importlib.metadata import distributions

    found: dict[str, list[Plugin]] = {}
    for one in distributions(path=list(path)):
        try:
            # Reading the metadata of every package would take long.
            if f"[{_PREFIX}" in metadata_text(one, "entry_points.txt"):
                metadata_text(one, "METADATA")  # a pipe is refused, which would be waited for
                # An older copy, further along the path, does not count.
                found.setdefault(one.metadata["Name"], _plugins_of(one))
        except Exception as error:  # the parsers' exceptions have no common base class
            _LOG.warning("The entry points in %s are unreadable: %s", one.locate_file(""), error)
    return tuple(sorted(plugin for plugins in found.values() for plugin in plugins))


def _plugins_of(distribution: Distribution) -> list[Plugin]:
    owner = (distribution.metadata["Name"], distribution.version)
    entries = [entry for entry in distribution.entry_points if entry.group.startswith(_PREFIX)]
    return [Plugin(entry.group, entry.name, entry.value, *owner) for entry in entries]
