"""Bundles for TFLite, shared by tests because a conversion takes many seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.bundle import Bundle


@pytest.fixture(scope="session")
def inside(deformable: Path, export: Callable[..., Bundle]) -> Bundle:
    """The network with deformable convolutions, at fp16, all around it in the model."""
    place = {"cascade_in": "graph", "decode_in": "graph"}
    return export(deformable, "tflite", precision="fp16", **place, input_size=(64, 64), top_k=9)
