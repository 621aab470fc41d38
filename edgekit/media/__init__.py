"""DEVICE. Where frames come from and where results go."""

from __future__ import annotations

from edgekit.media.source import Source, SourceOptions
from edgekit.media.sources import open_source

__all__ = ["Source", "SourceOptions", "open_source"]
