"""DEVICE. Sources of frames, and sinks that show, write or send the results."""

from __future__ import annotations

from edgekit.media.source import Source, SourceOptions
from edgekit.media.sources import open_source

__all__ = ["Source", "SourceOptions", "open_source"]
