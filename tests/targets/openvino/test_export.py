"""Tests exports for OpenVINO: equal outputs, equal bytes, or an error and no files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekit.assets.pictures import verification_frames
from edgekit.bundle import Bundle
from edgekit.detector import Detector
from edgekit.errors import (
    BundleError,
    ConversionError,
    MissingDependencyError,
    OutputError,
    UsageError,
)
from edgekit.models.checkpoints import save_checkpoint
from edgekit.models.dcn import LOWERINGS
from edgekit.models.registry import build
from edgekit.system.installation import install_line
from edgekit.targets.base import SessionOptions
from edgekit.targets.build import export_bundle
from edgekit.targets.openvino.export import OpenVinoExporter
from edgekit.targets.openvino.session import OpenVinoSession
from edgekit.targets.settings import ExportSettings

MARKS = {"deform_conv": "DeformableConvolution", "grid_sample": "GridSample", "gather": "MatMul"}


def names(bundle: Bundle) -> list[str]:
    import openvino

    model = openvino.Core().read_model(bundle.model_path)
    return [operator.get_friendly_name() for operator in model.get_ordered_ops()]


def test_bundle_is_the_network(written: Bundle) -> None:
    manifest = written.manifest
    assert (manifest.target, manifest.precision, manifest.model) == (
        "openvino",
        "fp32",
        "model.xml",
    )
    assert {entry.path for entry in manifest.files} == {"model.xml", "model.bin"}
    assert manifest.opset == 11
    assert set(manifest.converter) == {"onnx", "onnxscript", "openvino", "torch"}
    found = manifest.verification
    assert found is not None
    assert all(head.max_difference <= 1e-4 * head.largest for head in found.heads.values())
    assert found.top_detections_agreeing > 0.99


def test_operators_keep_the_names_of_their_layers(written: Bundle) -> None:
    found = names(written)
    assert len(set(found)) == len(found)
    assert {"input", "hm", "wh", "reg", "blocks.3.expand.0/Conv", "smooth.0/Conv"} <= set(found)
    assert "blocks.3.expand.0/Conv/WithoutBiases" in found


def test_same_checkpoint_gives_same_bytes(
    written: Bundle,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    again = export_bundle(checkpoint, "openvino", out=tmp_path / "elsewhere" / "b")
    assert again.sha256 == written.sha256
    text = again.model_path.read_text()
    for trace in ("model.onnx", "/tmp", ".py", str(Path.home())):
        assert trace not in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("lowering", "precision"),
    [(name, "fp32") for name in LOWERINGS] + [("deform_conv", "fp16"), ("gather", "fp16")],
)
def test_every_lowering(
    deformable: Path, export: Callable[..., Bundle], lowering: str, precision: str
) -> None:
    choices = {"dcn": lowering, "precision": precision}
    bundle = export(deformable, "openvino", input_size=(64, 64), **choices)
    found = OpenVinoExporter().operators(bundle.model_path)
    assert {mark for mark in MARKS.values() if mark in found} == {MARKS[lowering]}
    assert found["Convolution"] > 8
    if lowering == "deform_conv":
        assert "VariadicSplit" not in found
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert not {"Const", "Parameter", "Result"} & set(found)
    verification = bundle.manifest.verification
    assert verification is not None
    assert verification.top_detections_agreeing > 0.95
    if precision == "fp16":
        # Where the sampling is of several operators, its layers stay float32.
        share = 0.6 if lowering == "deform_conv" else 0.75
        assert bundle.size < share * deformable.stat().st_size
        # bfloat16, which some processors take for float16, would differ more.
        shares = [head.max_difference / head.largest for head in verification.heads.values()]
        assert 1e-5 < max(shares) < 1e-2


def test_everything_in_the_graph_detects_the_same(
    bundle: Bundle, checkpoint: Path, export: Callable[..., Bundle]
) -> None:
    inside = export(checkpoint, "openvino", cascade_in="graph", decode_in="graph")
    assert [out.name for out in inside.manifest.outputs] == ["detections"]
    with Detector(bundle) as one, Detector(inside) as other:
        for frame in verification_frames()[0]:
            expected, found = one.detect(frame), other.detect(frame)
            assert len(expected) > 3
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_decoding_of_a_single_class_in_the_graph(own_networks: None, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_checkpoint(path, build("tiny", classes=1).eval(), {"input_size": "[64, 96]"})
    settings = ExportSettings(decode_in="graph")
    bundle = export_bundle(path, "openvino", out=tmp_path / "b", settings=settings)
    assert bundle.manifest.verification is not None
    assert bundle.manifest.verification.top_detections_agreeing > 0.99


def test_half_precision_with_everything_in_the_graph(deformable: Path, tmp_path: Path) -> None:
    settings = ExportSettings(
        precision="fp16", cascade_in="graph", decode_in="graph", input_size=(64, 64)
    )
    bundle = export_bundle(deformable, "openvino", out=tmp_path / "b", settings=settings)
    assert bundle.manifest.verification is not None
    boxes = bundle.manifest.verification.heads["boxes"]
    assert boxes.max_difference <= 2e-2 * boxes.largest


def test_a_cascade_in_the_graph_is_computed_in_float32(
    checkpoint: Path, export: Callable[..., Bundle]
) -> None:
    bundle = export(checkpoint, "openvino", precision="fp16", cascade_in="graph")
    with OpenVinoSession(bundle) as session:  # where OpenVINO would take bfloat16, too
        assert session.describe()["arithmetic"] == "f32"
    with pytest.raises(UsageError, match="contains the cascade, which needs f32; found arithmetic"):
        OpenVinoSession(bundle, SessionOptions(arithmetic="bf16"))


class Determinant(nn.Module):
    """Holds an operator of ONNX that OpenVINO does not read."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"hm": torch.linalg.det(x[..., :3, :3])}


def test_operator_that_cannot_be_taken(tmp_path: Path) -> None:
    example = (np.zeros((1, 3, 64, 64), np.float32),)
    with pytest.raises(ConversionError, match="does not support the operator Det") as caught:
        OpenVinoExporter().export(Determinant().eval(), example, tmp_path, "fp32")
    assert "dcn='grid_sample'" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hm = nn.Conv2d(3, 64, 33)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"hm": self.hm(x)}


def test_full_disk(small_disk: Path) -> None:
    example = (np.zeros((1, 3, 64, 64), np.float32),)
    with pytest.raises(OutputError, match="Cannot write") as caught:
        OpenVinoExporter().export(Plain().eval(), example, small_disk, "fp32")
    assert caught.value.hint


def test_converter_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import openvino

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "Exception from src/core.cpp:84:\nCheck 'x' failed at a.cpp:1:\nno memory"
        )

    monkeypatch.setattr(openvino, "convert_model", fails)
    example = (np.zeros((1, 3, 64, 64), np.float32),)
    with pytest.raises(ConversionError, match=r"failed to convert the network: no memory\n"):
        OpenVinoExporter().export(Plain().eval(), example, tmp_path, "fp32")
    assert list(tmp_path.iterdir()) == []


def test_missing_package(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match="openvino") as caught:
        export_bundle(checkpoint, "openvino", out=tmp_path / "b")
    assert caught.value.hint == f"Run: {install_line('openvino')}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [None, "no XML"])
def test_operators_of_no_model(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "model.xml").write_text(text)
    with pytest.raises(BundleError, match="not a model in OpenVINO's IR"):
        OpenVinoExporter().operators(tmp_path / "model.xml")
