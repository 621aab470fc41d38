"""The small network as a bundle for OpenVINO."""

from __future__ import annotations

import pytest

from edgekit.bundle import Bundle
from edgekit.targets.openvino.importing import import_openvino

import_openvino("Testing")  # before a test's own import of it can report itself


@pytest.fixture(scope="session")
def written(ir: Bundle) -> Bundle:
    """Exported on 14 November 2023."""
    return ir
