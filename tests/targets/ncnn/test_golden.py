"""Tests that published networks on ncnn give their known outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ncnn
import numpy as np
import pytest

from edgekit.targets.ncnn.export import NcnnExporter
from edgekit.targets.ncnn.model import NcnnModel
from edgekit.targets.ncnn.network import NcnnNetwork
from edgekit.targets.ncnn.param import read_param
from edgekit.targets.ncnn.structure import check_structure


@pytest.mark.shared
@pytest.mark.parametrize("arch", ["dla34", "dlav0_34", "res18", "resdcn18"])
def test_exported_network_returns_the_golden_heads(
    published: Any, tmp_path: Path, arch: str
) -> None:
    network, given, heads = published(arch, "deform_conv")
    made = NcnnExporter().export(network, (given,), tmp_path, "fp32")
    counts = NcnnExporter().operators(tmp_path / made.model)
    assert counts.get("DeformableConv2D", 0) == {"dla34": 16, "resdcn18": 3}.get(arch, 0)
    model, weights = ((tmp_path / name).read_bytes() for name in made.files)
    loaded = NcnnModel(check_structure(read_param(model)), weights, {})
    found = NcnnNetwork(ncnn, loaded).run({"input": given}, tuple(heads))
    for name, expected in heads.items():
        assert np.abs(found[name] - expected).max() <= 1e-3 * np.abs(expected).max()
