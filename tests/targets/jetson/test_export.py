"""Tests that TensorRT's parser would accept exported models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekit.bundle import Bundle
from edgekit.cli import main as run
from edgekit.errors import ConversionError
from edgekit.models.checkpoints import save_checkpoint
from edgekit.models.dcn import DeformConv2d, set_lowering
from edgekit.models.graph import DecodeGraph, Deployed, HalfPrecision
from edgekit.models.registry import build
from edgekit.system.installation import install_line
from edgekit.targets.build import export_bundle
from edgekit.targets.jetson.checker import Finding, check
from edgekit.targets.jetson.export import OPSET, JetsonExporter, _refused
from edgekit.targets.settings import ExportSettings


class Small(nn.Module):
    """A network of one deformable convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(6, 8, 4, stride=4)
        self.deformable = DeformConv2d(8, 8)
        self.heads = nn.Conv2d(8, 6, 1)
        nn.init.normal_(self.deformable.conv_offset_mask.weight, std=0.1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        heads = self.heads(self.deformable(self.stem(x)).relu())
        return dict(zip(("hm", "wh", "reg"), heads.split(2, 1), strict=True))


def test_two_frames_go_in_and_boxes_come_out(exported: Bundle) -> None:
    manifest = exported.manifest
    assert (manifest.cascade.place, manifest.decode.place) == ("graph", "graph")
    assert manifest.opset == OPSET == 19
    model = onnx.load(exported.model_path)
    assert model.opset_import[0].version == OPSET
    assert [value.name for value in model.graph.input] == ["previous", "frame"]
    assert check(exported.model_path) == []
    found = manifest.verification
    assert found is not None
    assert found.top_detections_agreeing == 1
    assert all(head.max_difference <= 1e-4 * head.largest for head in found.heads.values())


def test_same_checkpoint_gives_same_bytes(
    exported: Bundle, checkpoint: Path, tmp_path: Path
) -> None:
    again = export_bundle(checkpoint, "jetson", out=tmp_path / "b")
    assert again.model_path.read_bytes() == exported.model_path.read_bytes()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("lowering", JetsonExporter.lowerings)
def test_deformable_convolutions(tmp_path: Path, lowering: str, precision: str) -> None:
    network: nn.Module = Small().eval()
    set_lowering(network, lowering)
    network = HalfPrecision(network) if precision == "fp16" else network
    x = np.random.default_rng(0).standard_normal((1, 6, 64, 64)).astype(np.float32)
    made = JetsonExporter().export(network, (x,), tmp_path, precision)
    path = tmp_path / made.model
    assert check(path) == []
    model = onnx.load(path)
    operators = {node.op_type for node in model.graph.node}
    assert ("GridSample" in operators) == (lowering == "grid_sample")
    assert ("DeformConv" in operators) == (lowering == "deform_conv")
    stored = {tensor.name for tensor in model.graph.initializer}
    assert not any(set(node.input) <= stored for node in model.graph.node)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert (onnx.TensorProto.FLOAT16 in kinds) == (precision == "fp16")
    found = onnxruntime.InferenceSession(path).run(None, {"input": x})
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).values()
    tolerance = {"fp32": 1e-4, "fp16": 2e-2}[precision]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_published_network(tmp_path: Path) -> None:
    network = build("resdcn18", classes=2, channels=3, head_conv=8)
    save_checkpoint(tmp_path / "fresh.safetensors", network, {})
    settings = ExportSettings(precision="fp16", input_size=(64, 64))
    bundle = export_bundle(
        tmp_path / "fresh.safetensors", "jetson", out=tmp_path / "b", settings=settings
    )
    assert check(bundle.model_path) == []
    modes = {
        attribute.s
        for node in onnx.load(bundle.model_path).graph.node
        for attribute in node.attribute
        if node.op_type == "GridSample" and attribute.name == "mode"
    }
    assert modes == {b"bilinear"}


def test_more_boxes_than_tensorrt_can_sort(tmp_path: Path) -> None:
    network = Deployed(Small(), None, DecodeGraph(3841, 4)).eval()
    with pytest.raises(ConversionError, match="K is 3841; at most 3840") as caught:
        JetsonExporter().export(
            network, (np.zeros((1, 6, 256, 256), np.float32),), tmp_path, "fp32"
        )
    assert "top_k=3840" in caught.value.hint


def test_refusal_names_ten_nodes_and_what_to_do() -> None:
    error = _refused([Finding(f"n{index}", "Odd", "no") for index in range(12)])
    assert "  n9 (Odd): no\n  and 2 more" in error.message
    assert "n10" not in error.message
    assert "decode_in='host'" in error.hint


def test_inspect(exported: Bundle, jetson: Any, tmp_path: Path, capsys: Any) -> None:
    assert run(["inspect", str(exported.path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "accepted, by the tables" in shown
    assert "trtexec --onnx=" in shown
    assert "stride 4, in the model" in shown
    model = onnx.load(exported.model_path)
    model.graph.node[0].name, model.graph.node[0].op_type = "odd", "Unique"
    del model.graph.node[0].attribute[:]
    onnx.save(model, tmp_path / "odd.onnx")
    assert run(["inspect", str(jetson(tmp_path / "odd.onnx").path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tensorrt"]
    assert found["refused"][0] == "odd (Unique): TensorRT has no such operator"
    assert "not accepted: odd (Unique)" in found["verdict"]
    assert found["trtexec"].startswith("trtexec --onnx=")


def test_inspect_of_another_target(bundle: Bundle, capsys: Any) -> None:
    assert run(["inspect", str(bundle.path), "--json"]) == 0
    assert "tensorrt" not in json.loads(capsys.readouterr().out)


def test_inspect_without_onnx(
    exported: Bundle, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run(["inspect", str(exported.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tensorrt"]
    assert found["refused"] is None
    assert f"not checked: Run: {install_line('host')}" in found["verdict"]
