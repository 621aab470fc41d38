"""Opens what a user names (file, stream, camera or pipeline) as a source of frames."""

from edgekit.media.sources.opening import open_source, open_sources

__all__ = ["open_source", "open_sources"]
