"""Tests that exported published networks give their known outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgekit.targets.onnx.export import OnnxExporter

NETWORKS = ("dla34", "dlav0_34", "res18", "resdcn18")
# With "gather" the golden heads are those of PyTorch (test_checkpoints.py) and of TFLite, and each
# export of the small networks is compared with PyTorch's.
CASES = [
    *((arch, "deform_conv") for arch in NETWORKS),
    ("resdcn18", "grid_sample"),
]


@pytest.mark.shared
@pytest.mark.parametrize(("arch", "lowering"), CASES)
def test_exported_network_returns_the_golden_heads(
    published_onnx: Any, arch: str, lowering: str
) -> None:
    model, given, heads = published_onnx(arch, lowering)
    assert not any("Normalization" in name for name in OnnxExporter().operators(model))
    session = onnxruntime.InferenceSession(model)
    outputs = session.run(list(heads), {"input": given})
    for found, expected in zip(outputs, heads.values(), strict=True):
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
