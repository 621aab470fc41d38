"""DEVICE. Sources of frames, and sinks that show, write or send the results.

Each name is imported when it is first used, so that help can list ``edgekit.media.choices`` without
loading OpenCV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.media.sources import open_source
    from edgekit.media.sources.source import Source, SourceOptions

__all__ = ["Source", "SourceOptions", "open_source"]

_HOMES = {
    "Source": "edgekit.media.sources.source",
    "SourceOptions": "edgekit.media.sources.source",
    "open_source": "edgekit.media.sources",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit.media' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
