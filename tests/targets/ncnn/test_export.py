"""Tests exports to ncnn, and the errors of a converter that fails, openly or silently."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.bundle import Bundle
from edgekit.errors import BundleError, ConversionError, MissingDependencyError, UsageError
from edgekit.system.installation import install_line
from edgekit.targets.build import export_bundle
from edgekit.targets.ncnn import export as module
from edgekit.targets.ncnn.export import NcnnExporter
from edgekit.targets.ncnn.model import read_model
from edgekit.targets.settings import ExportSettings

X = (np.zeros((1, 3, 8, 8), np.float32),)


class Heads(nn.Module):
    """One layer, and its result by a name."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"hm": self.layer(x)}


class Third(nn.Module):
    """An operator that ncnn does not have: pnnx leaves it as it is, and ends with status 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.kthvalue(3).values


class Permuted(nn.Module):
    """An operator that ncnn has, for which EdgeKit has no rule."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1)


def export(layer: nn.Module, folder: Path, limit: float = 600, precision: str = "fp32") -> Any:
    exporter = NcnnExporter()
    exporter.limit = limit
    return exporter.export(Heads(layer).eval(), X, folder, precision)


def test_bundle_is_the_network(paired: Bundle) -> None:
    manifest = paired.manifest
    assert (manifest.target, manifest.precision, manifest.model) == ("ncnn", "fp32", "model.param")
    assert manifest.opset is None
    assert set(manifest.converter) == {"pnnx", "ncnn", "torch"}
    found = manifest.verification
    assert found is not None
    assert set(found.heads) == {"hm", "wh", "reg"}
    assert all(head.max_difference <= 1e-4 * head.largest for head in found.heads.values())
    assert found.top_detections_agreeing > 0.99


def test_layers_have_the_names_of_the_network(paired: Bundle, moved: Bundle) -> None:
    names = {layer.name for layer in read_model(paired).structure.layers}
    assert {"stem.0", "hm.0", "wh.2", "reg.2"} <= names
    layers = {layer.name: layer.kind for layer in read_model(moved).structure.layers}
    offsets = [name for name in layers if name.endswith(".conv_offset_mask")]
    assert offsets
    for name in offsets:
        assert layers[name] == "Convolution"
        assert layers[name.removesuffix(".conv_offset_mask")] == "DeformableConv2D"


def test_deformable_convolutions_are_layers_of_ncnn(moved: Bundle) -> None:
    counts = NcnnExporter().operators(moved.model_path)
    assert counts["DeformableConv2D"] > 0
    assert "Input" not in counts
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    assert not hasattr(torch.ops.torchvision, "deform_conv2d")


def test_same_checkpoint_gives_same_bytes(
    paired: Bundle, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    again = export_bundle(checkpoint, "ncnn", out=tmp_path / "b")
    for name in ("model.param", "model.bin"):
        written = (again.path / name).read_bytes()
        assert written == (paired.path / name).read_bytes()
        for trace in (b"/tmp", b".pt", str(Path.home()).encode()):
            assert trace not in written
    assert again.sha256 == paired.sha256


def test_half_precision(checkpoint: Path, paired: Bundle, tmp_path: Path) -> None:
    half = export_bundle(
        checkpoint, "ncnn", settings=ExportSettings(precision="fp16"), out=tmp_path / "b"
    )
    assert half.size < 0.6 * paired.size
    found = half.manifest.verification
    assert found is not None
    shares = [head.max_difference / head.largest for head in found.heads.values()]
    # Above what float32 would differ by: the weights are float16 indeed.
    assert 1e-6 < max(shares) <= 2e-2


def test_weights_too_large_for_half_precision(tmp_path: Path) -> None:
    layer = nn.Conv2d(3, 2, 1)
    nn.init.constant_(layer.weight, 1e5)
    with pytest.raises(ConversionError, match="weights of layer are too large for float16"):
        export(layer, tmp_path, precision="fp16")
    assert list(tmp_path.iterdir()) == []


def test_lowering_that_ncnn_lacks(deformable: Path, tmp_path: Path) -> None:
    settings = ExportSettings(dcn="gather", input_size=(64, 64))
    with pytest.raises(UsageError, match="found 'gather'") as caught:
        export_bundle(deformable, "ncnn", settings=settings, out=tmp_path / "b")
    assert caught.value.hint == "Leave out dcn to use deform_conv."


@pytest.mark.parametrize("place", ["cascade_in", "decode_in"])
def test_only_the_network(checkpoint: Path, tmp_path: Path, place: str) -> None:
    settings = ExportSettings(**{place: "graph"})
    with pytest.raises(ConversionError, match="the network only") as caught:
        export_bundle(checkpoint, "ncnn", settings=settings, out=tmp_path / "b")
    assert f"{place}='host'" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Third(), r"layers that ncnn 1\.\S+ does not have: .*kthvalue"),
        (Permuted(), "layers that EdgeKit cannot check in ncnn: Permute"),
        (nn.Conv2d(3, 2, 3, padding=1, padding_mode="reflect"), "Padding"),
        (nn.Flatten(), "cannot use|cannot check"),
    ],
)
def test_silent_failure_of_the_converter(tmp_path: Path, layer: nn.Module, said: str) -> None:
    with pytest.raises(ConversionError, match=said) as caught:
        export(layer, tmp_path)
    assert "target" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Path:
    """Replaces pnnx by a shell script; returns an empty folder."""
    script = tmp_path / "pnnx"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    monkeypatch.setattr(module, "_pnnx", lambda: str(script))
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo a warning; exit 3", r"could not convert the network\. Its last output:\na warning"),
        ("echo all is well", r"could not convert the network\. Its last output:\nall is well"),
        ("echo soon over; kill -9 $$", r"ended by SIGKILL.*memory.*\nsoon over"),
        (
            "echo rubbish > model.ncnn.param; : > model.ncnn.bin",
            r"wrote a model that EdgeKit cannot use: it does not begin with 7767517",
        ),
    ],
)
def test_converter_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    folder = program(tmp_path, monkeypatch, text)
    with pytest.raises(ConversionError, match=said):
        export(nn.Conv2d(3, 2, 1), folder)
    assert list(folder.iterdir()) == []


def test_converter_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = program(tmp_path, monkeypatch, "exec sleep 60")
    with pytest.raises(ConversionError, match=r"not finish within 0\.1 seconds"):
        export(nn.Conv2d(3, 2, 1), folder, limit=0.1)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["pnnx", "ncnn"])
def test_missing_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=name) as caught:
        export(nn.Identity(), tmp_path)
    assert caught.value.hint == f"Run: {install_line('ncnn-host')}"


def test_operators_of_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.param").write_bytes(b"rubbish")
    with pytest.raises(BundleError, match="not a valid ncnn model"):
        NcnnExporter().operators(tmp_path / "model.param")
