"""Finds parts by name: EdgeKit's own, and those that installed packages add by entry points.

A registry holds EdgeKit's own parts of one kind. A package adds a part by an entry point in the
registry's group, such as ``edgekit.targets``. Entry points are read only when a name is not one of
EdgeKit's own, or when parts are listed. A part is imported when it is used.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

from edgekit._printable import listed
from edgekit.errors import EdgeKitError, PluginError
from edgekit.system.entry_points import Plugin, installed_plugins

__all__ = ["Registry", "import_object"]

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Parts of one kind by name.

    Args:
        group: Group of the entry points that add parts.
        own: EdgeKit's own parts by name, each as an object or as ``module:Object``.
        is_part: Function that returns whether an object is such a part.
        expected: Words for such a part, as in "Expected X; found str."

    Attributes:
        group: Group of the entry points that add parts.
        own: EdgeKit's own parts by name.
    """

    def __init__(
        self,
        group: str,
        own: Mapping[str, T | str],
        is_part: Callable[[object], object],
        expected: str,
    ) -> None:
        self.group = group
        self.own = dict(own)
        self._is_part = is_part
        self._expected = expected

    def __contains__(self, name: object) -> bool:
        return name in self.own or any(plugin.name == name for plugin in self.plugins())

    def __getitem__(self, name: str) -> T:
        """Returns a part by its name.

        Raises:
            KeyError: There is no part of that name.
            PluginError: The part of that name comes from a package and cannot be used.
        """
        if name in self.own:
            found = self.own[name]
            return cast("T", import_object(found)) if isinstance(found, str) else found
        plugins = [plugin for plugin in self.plugins() if plugin.name == name]
        if not plugins:
            raise KeyError(name)
        if len(plugins) > 1:
            raise _ambiguous(plugins)
        return self._load(plugins[0])

    def __iter__(self) -> Iterator[str]:
        """Gives EdgeKit's own names, then those that packages add; imports nothing."""
        yield from self.own
        yield from sorted({plugin.name for plugin in self.plugins()} - self.own.keys())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def plugins(self) -> list[Plugin]:
        """Returns the entry points of this group, sorted by name and distribution."""
        return [plugin for plugin in installed_plugins() if plugin.group == self.group]

    def usable(self) -> Iterator[tuple[str, T]]:
        """Gives all parts with their names, EdgeKit's own first.

        A part of a package that cannot be used is skipped with a warning.
        """
        for name in self:
            try:
                part = self[name]
            except PluginError as error:
                _LOG.warning("%s It is skipped.", error.message)
            else:
                yield name, part

    def problem(self, plugin: Plugin) -> PluginError | None:
        """Returns the reason why a plug-in cannot be used; None if it can."""
        if plugin.name in self.own:
            return PluginError(
                f"{_described(plugin)} has the same name as a part of EdgeKit. EdgeKit uses its "
                "own part.",
                hint=_instead(plugin),
            )
        try:
            self[plugin.name]
        except PluginError as error:
            return error
        return None

    @contextlib.contextmanager
    def attributed(self, name: str) -> Iterator[None]:
        """Names the package of a part in the error, if the part fails while the block runs.

        Args:
            name: Name of the part.

        Raises:
            PluginError: The part comes from a package, and raised what is not an ``EdgeKitError``.
        """
        try:
            yield
        except (EdgeKitError, KeyboardInterrupt, GeneratorExit):
            raise
        # A part that calls sys.exit must not end the command.
        except BaseException as error:
            if name in self.own:
                raise
            plugin = next(plugin for plugin in self.plugins() if plugin.name == name)
            raise PluginError(
                f"{_described(plugin)} failed: {_reason(error)}.", hint=_instead(plugin)
            ) from error

    def import_class(self, name: str, value: str, base: type[object]) -> type[object]:
        """Imports a class that belongs to the part of a name.

        Args:
            name: Name of the part.
            value: The class, as ``module:Class``.
            base: Class that it must be derived from.

        Raises:
            PluginError: The part comes from a package, and the class is missing, raises when it is
                imported, or is not derived from ``base``.
        """
        if name in self.own:
            return cast("type[object]", import_object(value))
        plugin = next(plugin for plugin in self.plugins() if plugin.name == name)
        found = _import_from(plugin, value)
        if not (isinstance(found, type) and issubclass(found, base)):
            raise _unexpected(plugin, value, f"a subclass of {base.__name__}", found)
        return found

    def _load(self, plugin: Plugin) -> T:
        found = _import_from(plugin, plugin.value)
        if not self._is_part(found):
            raise _unexpected(plugin, plugin.value, self._expected, found)
        return cast("T", found)


def import_object(value: str) -> object:
    """Returns the object that ``module:Object`` names; imports the module."""
    module, _, names = value.partition(":")
    found: object = importlib.import_module(module.strip())
    return functools.reduce(getattr, names.strip().split("."), found)


def _import_from(plugin: Plugin, value: str) -> object:
    try:
        return import_object(value)
    except KeyboardInterrupt:
        raise
    # A module may raise anything; one that calls sys.exit must not end the command.
    except BaseException as error:
        raise PluginError(
            f"{_described(plugin)} cannot be imported from {value}: {_reason(error)}.",
            hint=_instead(plugin),
        ) from error


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return " ".join(f"{name}: {error}".split())[:300]
    except Exception:  # its text is code of the package too
        return name


def _unexpected(plugin: Plugin, value: str, expected: str, found: object) -> PluginError:
    kind = found.__name__ if isinstance(found, type) else type(found).__name__
    return PluginError(
        f"{_described(plugin)} is broken: expected {value} to be {expected}; found {kind}.",
        hint=_instead(plugin),
    )


def _ambiguous(plugins: list[Plugin]) -> PluginError:
    names = listed([f"{plugin.distribution} {plugin.version}" for plugin in plugins], " and ")
    return PluginError(
        f"The name {plugins[0].name!r} in {plugins[0].group} is taken twice, by {names}.",
        hint=f"Uninstall one of them: pip uninstall {plugins[-1].distribution}",
    )


def _described(plugin: Plugin) -> str:
    return (
        f"The plug-in {plugin.name!r} in {plugin.group} of {plugin.distribution} {plugin.version}"
    )


def _instead(plugin: Plugin) -> str:
    name = plugin.distribution
    return f"Upgrade it (pip install -U {name}) or remove it (pip uninstall {name})."
