"""Finds the sinks of installed packages by name; imports a sink only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgekit._parameters import parameter
from edgekit._printable import listed
from edgekit.errors import UsageError
from edgekit.system.plugins import Registry

if TYPE_CHECKING:
    from edgekit.media.sinks.sink import Sink

__all__ = ["SINKS", "SinkBuilder", "find_sink", "make_sink", "sink_name"]


class SinkBuilder(Protocol):
    """Class of a sink, or function that makes one."""

    def __call__(self, value: str, source_index: int | None, /) -> Sink:
        """Returns a sink that has not touched a file yet.

        Args:
            value: Text after the colon in ``NAME:VALUE``; empty if there is none.
            source_index: Index of the source whose results it gets; None if the run has only one.

        Raises:
            UsageError: The value is missing or invalid.
        """


SINKS: Registry[SinkBuilder] = Registry(
    "edgekit.sinks", {}, callable, "a function that makes a sink"
)
"""Makers of sinks by name. EdgeKit's own sinks are not among them; they have options."""


def find_sink(text: str) -> SinkBuilder:
    """Returns the maker of the sink that ``NAME`` or ``NAME:VALUE`` names.

    Raises:
        UsageError: No package adds a sink of that name.
        PluginError: The package cannot be used, or another one adds the same name.
    """
    name = sink_name(text)
    if name in SINKS:
        return SINKS[name]
    found = f"{parameter('sink')} names the sink {name!r}"
    hint = (
        "Install the package that adds it; edgekit doctor lists the sinks of installed packages. "
        f"EdgeKit's own outputs have parameters of their own, such as {parameter('events')}."
    )
    if not SINKS:
        raise UsageError(f"{found}, and no installed package adds a sink.", hint=hint)
    raise UsageError(f"{found}; expected one of {listed(SINKS)}.", hint=hint)


def make_sink(text: str, source_index: int | None = None) -> Sink:
    """Returns the sink that ``NAME`` or ``NAME:VALUE`` names; its errors name its package.

    Args:
        text: Name in ``SINKS``, and the value for the sink after a colon.
        source_index: Index of the source whose results it gets; None if the run has only one.

    Raises:
        UsageError: No package adds a sink of that name, or the sink refuses its value.
        OutputError: The sink could not be made.
        PluginError: The package cannot be used.
    """
    from edgekit.media.sinks.plugin_sink import PluginSink, failures_named
    from edgekit.media.sinks.sink import Sink

    builder = find_sink(text)
    name, _, value = text.partition(":")
    with failures_named(name):
        sink = builder(value, source_index)
    with SINKS.attributed(name):
        if not isinstance(sink, Sink):
            raise TypeError(f"expected a Sink; found {type(sink).__name__}")
    return PluginSink(sink, name)


def sink_name(text: str) -> str:
    """Returns the name in ``NAME`` or ``NAME:VALUE``; the value may contain a password."""
    return text.partition(":")[0]
