"""The small network as a bundle for OpenVINO."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from edgekit.targets.build import export_bundle
from edgekit.targets.openvino.quiet import import_openvino

import_openvino("Testing")  # before a test's own import of it can report itself


@pytest.fixture(scope="session")
def written(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Exported on 14 November 2023."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        return export_bundle(checkpoint, "openvino", out=tmp_path_factory.mktemp("ir") / "bundle")
