"""From what a user names to the source that reads it."""

from edgekit.media.sources.opening import open_source, open_sources

__all__ = ["open_source", "open_sources"]
