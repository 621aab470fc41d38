"""Tests that published networks on TFLite give their known outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgekit.targets.tflite.export import TfliteExporter

pytestmark = pytest.mark.long


# A conversion takes half a minute, that of a DLA-34 a whole one. This network has all layers of a
# ResNet, and deformable ones.
@pytest.mark.shared
@pytest.mark.parametrize("arch", ["resdcn18"])
def test_exported_network_returns_the_golden_heads(
    published: Any, tmp_path: Path, arch: str
) -> None:
    network, given, heads = published(arch, "gather")
    made = TfliteExporter().export(network, (given,), tmp_path, "fp32")
    interpreter = Interpreter(str(tmp_path / made.model), num_threads=1)
    found = interpreter.get_signature_runner()(input=given)
    assert set(found) == set(heads)
    for name, expected in heads.items():
        assert np.abs(found[name] - expected).max() <= 1e-3 * np.abs(expected).max()
