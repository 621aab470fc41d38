"""Sources of frames: one module or folder for each kind; ``opening`` chooses among them."""

from edgekit.media.sources.opening import open_source, open_sources

__all__ = ["open_source", "open_sources"]
