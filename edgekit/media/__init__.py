"""DEVICE. Sources of frames, and sinks that show, write or send the results."""

from __future__ import annotations

from edgekit.media.sources import open_source
from edgekit.media.sources.source import Source, SourceOptions

__all__ = ["Source", "SourceOptions", "open_source"]
