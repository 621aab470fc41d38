"""Takes a trained online action detector to an edge device.

    from edgekit import Detector, open_source

    with Detector("bundle") as detector, open_source("clip.mp4") as source:
        for frame in source:
            boxes, classes, scores = detector.detect(frame.image).flat(0.3)

Each name is imported when it is first used, so that ``import edgekit`` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.bundle import Bundle, load_bundle
    from edgekit.detector import Detector
    from edgekit.errors import EdgeKitError
    from edgekit.linking.registry import make_linker
    from edgekit.media import open_source
    from edgekit.runtime.types import Detections, Frame, Tube
    from edgekit.targets.export import export
    from edgekit.training.train import train

__all__ = [
    "Bundle",
    "Detections",
    "Detector",
    "EdgeKitError",
    "Frame",
    "Tube",
    "__version__",
    "export",
    "load_bundle",
    "make_linker",
    "open_source",
    "train",
]

__version__ = "0.1.0"

_HOMES = {
    "Bundle": "edgekit.bundle",
    "Detections": "edgekit.runtime.types",
    "Detector": "edgekit.detector",
    "EdgeKitError": "edgekit.errors",
    "Frame": "edgekit.runtime.types",
    "Tube": "edgekit.runtime.types",
    "export": "edgekit.targets.export",
    "load_bundle": "edgekit.bundle",
    "make_linker": "edgekit.linking.registry",
    "open_source": "edgekit.media",
    "train": "edgekit.training.train",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
