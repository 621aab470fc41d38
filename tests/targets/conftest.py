"""Small networks that behave as trained ones, as checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekit.bundle import Bundle
from edgekit.models.checkpoints import load_checkpoint, save_checkpoint
from edgekit.models.dcn import DeformConv2d, set_lowering
from edgekit.models.folding import fold_batch_norms
from edgekit.models.graph import Deployed, HalfPrecision
from edgekit.models.registry import build
from edgekit.targets.build import export_bundle


def settled(arch: str, *, classes: int, channels: int) -> nn.Module:
    """A network with statistics, offsets and heads that spread as a trained one's do."""
    torch.manual_seed(3)
    network = build(arch, classes=classes, channels=channels, head_conv=8)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(std=0.2)
                layer.running_var.uniform_(0.5, 1.5)
            if isinstance(layer, DeformConv2d):
                layer.conv_offset_mask.weight.normal_(std=0.05)
        for name, spread, bias in (("hm", 1.0, 0.0), ("wh", 0.1, 5.0), ("reg", 0.1, 0.5)):
            final = network.get_submodule(name)[-1]  # type: ignore[index]
            final.weight.normal_(std=spread)
            final.bias.fill_(bias)
    return network.eval()


@pytest.fixture
def published(golden: Any, tmp_path: Path) -> Callable[..., tuple[nn.Module, Any, dict[str, Any]]]:
    """Makes a published network ready for export; returns it, an input and the golden heads."""

    def make(arch: str, lowering: str, precision: str = "fp32") -> Any:
        _, weights, given, heads = golden(arch)
        state = {f"module.{name}": torch.from_numpy(value) for name, value in weights.items()}
        torch.save({"epoch": 1, "state_dict": state}, tmp_path / "golden.pth")
        network = load_checkpoint(tmp_path / "golden.pth").network
        folded = fold_batch_norms(network, torch.from_numpy(given))
        set_lowering(folded, lowering)
        if precision == "fp16":
            folded = HalfPrecision(folded)
        return Deployed(folded).eval(), given, heads

    return make


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lite0 of three classes that says of itself what edgekit train writes."""
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    metadata = {
        "classes": ["walk", "run", "jump"],
        "input_size": [64, 96],
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "cascade": "dssim",
        "frame_gap": 2,
        "name": "Small one",
    }
    strings = {key: json.dumps(value) for key, value in metadata.items()}
    save_checkpoint(path, settled("lite0", classes=3, channels=6), strings)
    return path


@pytest.fixture(scope="session")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """That checkpoint, exported as it is, on 14 November 2023."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        return export_bundle(checkpoint, out=tmp_path_factory.mktemp("exported") / "bundle")


@pytest.fixture(scope="session")
def deformable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A resdcn18 of two classes and three input channels that says nothing of itself."""
    path = tmp_path_factory.mktemp("checkpoint") / "deformable.safetensors"
    save_checkpoint(path, settled("resdcn18", classes=2, channels=3), {})
    return path
