"""Finds the function that opens an address by its scheme; imports it only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgekit.system.plugins import Registry

if TYPE_CHECKING:
    from edgekit.media.sources.source import Source, SourceOptions

__all__ = ["SCHEMES", "SOURCES", "SourceOpener"]

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp", "tcp", "srt")
"""URL schemes of the streams that EdgeKit reads itself."""


class SourceOpener(Protocol):
    """Function that opens an address of one scheme."""

    def __call__(self, address: str, options: SourceOptions | None, /) -> Source:
        """Returns an open source.

        Args:
            address: Address as the user wrote it, with its scheme.
            options: Options for reading the source; those that do not apply are ignored.

        Raises:
            MediaError: The source is missing or cannot be read; the message says what to do.
            UsageError: The address is invalid.
        """


SOURCES: Registry[SourceOpener] = Registry(
    "edgekit.sources",
    dict.fromkeys(SCHEMES, "edgekit.media.sources.opening:open_stream"),
    callable,
    "a function that opens a source",
)
"""Openers by URL scheme, in lower case."""
