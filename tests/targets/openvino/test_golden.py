"""Tests that published networks as OpenVINO IR give their known outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from edgekit.targets.openvino.export import OpenVinoExporter
from edgekit.targets.openvino.ir import MODEL


@pytest.mark.shared
@pytest.mark.parametrize(
    ("arch", "lowering", "precision"),
    [
        ("dla34", "deform_conv", "fp32"),
        ("dlav0_34", "deform_conv", "fp32"),
        ("res18", "deform_conv", "fp32"),
        ("resdcn18", "deform_conv", "fp32"),
        ("resdcn18", "deform_conv", "fp16"),
        ("resdcn18", "grid_sample", "fp32"),
    ],
)
def test_exported_network_returns_the_golden_heads(
    published_onnx: Any, tmp_path: Path, arch: str, lowering: str, precision: str
) -> None:
    source, given, heads = published_onnx(arch, lowering, precision)
    OpenVinoExporter().convert(source, tmp_path)
    native = OpenVinoExporter().operators(tmp_path / MODEL).get("DeformableConvolution", 0)
    assert bool(native) == (arch in ("dla34", "resdcn18") and lowering == "deform_conv")
    compiled = openvino.Core().compile_model(
        tmp_path / MODEL, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    found = compiled({"input": given})
    bound = {"fp32": 1e-3, "fp16": 2e-2}[precision]
    for name, expected in heads.items():
        assert np.abs(found[name] - expected).max() <= bound * np.abs(expected).max()
