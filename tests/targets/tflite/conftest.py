"""Bundles for TFLite. A conversion takes many seconds: tests share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from edgekit.targets.build import export_bundle
from edgekit.targets.settings import ExportSettings


@pytest.fixture(scope="session")
def inside(deformable: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The network with deformable convolutions, at fp16, all around it in the model."""
    settings = ExportSettings(
        precision="fp16", cascade_in="graph", decode_in="graph", input_size=(64, 64), top_k=9
    )
    return export_bundle(
        deformable,
        "tflite",
        settings=settings,
        out=tmp_path_factory.mktemp("exported") / "bundle",
    )
