"""The published networks, exported, return what they are known to return."""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from edgekit.models.checkpoints import load_checkpoint
from edgekit.models.dcn import LOWERINGS, set_lowering
from edgekit.models.folding import fold_batch_norms
from edgekit.models.graph import Deployed
from edgekit.targets.onnx.export import Exporter

NETWORKS = ("dla34", "dlav0_34", "res18", "resdcn18")
CASES = [
    (arch, lowering)
    for arch in NETWORKS
    for lowering in (LOWERINGS if arch in ("dla34", "resdcn18") else LOWERINGS[:1])
]


def golden_weight(name: str, shape: list[int], seed: int) -> torch.Tensor:
    """One tensor by the rules of the golden data's README."""
    r = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
        value = r.uniform(0.8, 1.2, shape)
    elif len(shape) == 1:
        value = 0.1 * r.standard_normal(shape)
    elif len(shape) == 4 and shape[1] == 1 and shape[2] >= 4:
        value = r.uniform(0, 0.5, shape)
    elif "conv_offset_mask" in name:
        value = 0.5 * r.standard_normal(shape) / math.sqrt(shape[1] * 9)
    else:
        value = 1.4 * r.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))


@pytest.mark.shared
@pytest.mark.parametrize(("arch", "lowering"), CASES)
def test_exported_network_returns_the_golden_heads(
    shared: Path, tmp_path: Path, arch: str, lowering: str
) -> None:
    stem = shared / "golden" / "networks" / f"{arch}_6ch_seed1"
    spec = json.loads(stem.with_suffix(".json").read_text())
    keys, seed = spec["keys"], spec["seed"]
    state = {f"module.{key}": golden_weight(key, shape, seed) for key, shape in keys.items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "golden.pth")
    network = load_checkpoint(tmp_path / "golden.pth").network
    x = np.random.default_rng([seed, 7]).standard_normal(spec["input_shape"]).astype(np.float32)
    folded = fold_batch_norms(network, torch.from_numpy(x))
    set_lowering(folded, lowering)
    made = Exporter().export(Deployed(folded).eval(), (x,), tmp_path, "fp32")
    assert not any("Normalization" in name for name in Exporter().operators(tmp_path / made.model))
    session = onnxruntime.InferenceSession(tmp_path / made.model)
    golden = np.load(stem.with_suffix(".npz"))
    for name, found in zip(("hm", "wh", "reg"), session.run(None, {"input": x}), strict=True):
        expected = golden[name]
        assert np.abs(found - expected).max() <= 1e-3 * np.abs(expected).max()
