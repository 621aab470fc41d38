"""Sinks that installed packages add, by name; each is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.system.plugins import Registry

if TYPE_CHECKING:
    from edgekit.media.sinks.sink import Sink

__all__ = ["SINKS", "SinkBuilder", "make_sink"]


class SinkBuilder(Protocol):
    """Class of a sink, or function that makes one."""

    def __call__(self, argument: str, source_index: int | None, /) -> Sink:
        """Returns a sink that has not touched a file yet.

        Args:
            argument: Text after the colon in ``NAME:ARGUMENT``; empty if there is none.
            source_index: Index of the source whose results it gets; None if the run has only one.

        Raises:
            UsageError: The argument is invalid.
        """


SINKS: Registry[SinkBuilder] = Registry(
    "edgekit.sinks", {}, callable, "a function that makes a sink"
)
"""Makers of sinks by the name that ``make_sink`` takes; those of EdgeKit have options."""


def make_sink(text: str, source_index: int | None = None) -> Sink:
    """Returns the sink that ``NAME`` or ``NAME:ARGUMENT`` names.

    Args:
        text: Name in ``SINKS``, and the text for the sink after a colon.
        source_index: Index of the source whose results it gets; None if the run has only one.

    Raises:
        UsageError: No package adds a sink of that name, or its argument is invalid.
        PluginError: The sink cannot be used.
    """
    from edgekit.media.sinks.sink import Sink

    name, _, argument = text.partition(":")
    if name not in SINKS:
        names = ", ".join(SINKS) or "nothing, because no installed package adds a sink"
        raise UsageError(
            f"Expected {parameter('sink')} to be one of {names}; found {name!r}.",
            hint="Install the package that adds this sink; edgekit doctor lists what is installed.",
        )
    with SINKS.attributed(name):
        sink = SINKS[name](argument, source_index)
        if not isinstance(sink, Sink):
            raise TypeError(f"expected a Sink; found {type(sink).__name__}")
    return sink
