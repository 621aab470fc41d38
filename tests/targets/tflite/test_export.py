"""Tests exports to TFLite files, and the error of a failed converter."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.bundle import Bundle
from edgekit.errors import ConversionError, MissingDependencyError, OutputError, UsageError
from edgekit.system.installation import install_line
from edgekit.targets.build import export_bundle
from edgekit.targets.settings import ExportSettings
from edgekit.targets.tflite.export import TfliteExporter

pytestmark = pytest.mark.long

X = (np.zeros((1, 3, 8, 8), np.float32),)


class Heads(nn.Module):
    """One layer, and its result by a name."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"hm": self.layer(x)}


class Third(nn.Module):
    """An operator that litert-torch does not know."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.kthvalue(3).values


def export(layer: nn.Module, folder: Path, limit: float = 600) -> Any:
    exporter = TfliteExporter()
    exporter.limit = limit
    return exporter.export(Heads(layer).eval(), X, folder, "fp32")


def test_bundle_is_the_network(lite: Bundle) -> None:
    manifest = lite.manifest
    assert (manifest.target, manifest.precision, manifest.model) == (
        "tflite",
        "fp32",
        "model.tflite",
    )
    assert manifest.opset is None
    assert set(manifest.converter) == {"litert-torch", "ai-edge-quantizer", "torch"}
    found = manifest.verification
    assert found is not None
    assert set(found.heads) == {"hm", "wh", "reg"}
    assert all(head.max_difference <= 1e-4 * head.largest for head in found.heads.values())
    assert found.top_detections_agreeing > 0.99


def test_a_full_disk_for_temporary_files_is_an_error(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    with pytest.raises(OutputError, match="No space left on device"):
        export(nn.Conv2d(3, 20_000, 3), tmp_path)


def test_operators_are_builtin(lite: Bundle) -> None:
    counts = TfliteExporter().operators(lite.model_path)
    assert list(counts)[:2] == ["CONV_2D", "DEPTHWISE_CONV_2D"]
    assert not [name for name in counts if name.startswith(("CUSTOM", "STABLEHLO"))]


def test_same_checkpoint_gives_same_bytes(
    lite: Bundle, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    again = export_bundle(checkpoint, "tflite", out=tmp_path / "b")
    written = again.model_path.read_bytes()
    assert written == lite.model_path.read_bytes()
    assert again.sha256 == lite.sha256
    for trace in (b".py", b"/tmp", b".pt2", str(Path.home()).encode()):
        assert trace not in written


def test_half_precision_with_everything_in_the_graph(inside: Bundle, deformable: Path) -> None:
    counts = TfliteExporter().operators(inside.model_path)
    assert {"EMBEDDING_LOOKUP", "FULLY_CONNECTED", "TOPK_V2", "DEQUANTIZE"} <= set(counts)
    assert not [name for name in counts if name.startswith(("CUSTOM", "STABLEHLO"))]
    assert inside.size < 0.6 * deformable.stat().st_size
    found = inside.manifest.verification
    assert found is not None
    assert set(found.heads) == {"scores", "boxes"}
    shares = [head.max_difference / head.largest for head in found.heads.values()]
    # Above what float32 would differ by: the weights are float16 indeed.
    assert 1e-6 < max(shares) <= 2e-2


def test_lowering_that_tflite_lacks(deformable: Path, tmp_path: Path) -> None:
    settings = ExportSettings(dcn="deform_conv", input_size=(64, 64))
    with pytest.raises(UsageError, match="found 'deform_conv'") as caught:
        export_bundle(deformable, "tflite", settings=settings, out=tmp_path / "b")
    assert caught.value.hint == "Leave out dcn to use gather."


def test_converter_that_fails_names_the_operator(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="could not convert the network") as caught:
        export(Third(), tmp_path)
    assert "kthvalue" in caught.value.message
    assert install_line("tflite-host") in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_converter_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nprint('a warning', file=sys.stderr, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConversionError, match=r"ended by SIGKILL.*memory") as caught:
        export(nn.Identity(), tmp_path / "out")
    assert caught.value.message.endswith("Its last output:\na warning")
    assert "input_size" in caught.value.hint
    assert list((tmp_path / "out").iterdir()) == []


def test_converter_that_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"not finish within 0\.1 seconds"):
        export(nn.Identity(), tmp_path, limit=0.1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["litert_torch", "ai_edge_quantizer"])
def test_missing_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=module) as caught:
        export(nn.Identity(), tmp_path)
    assert caught.value.hint == f"Run: {install_line('tflite-host')}"


def test_missing_reader(lite: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(MissingDependencyError, match="ai_edge_litert"):
        TfliteExporter().operators(lite.model_path)
