"""Bundles on ONNX Runtime, and how it is told that something is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError
from edgekit.targets.base import SessionOptions
from edgekit.targets.build import export_bundle
from edgekit.targets.onnx.session import Session
from edgekit.targets.registry import open_session
from edgekit.targets.settings import ExportSettings

ONE = SessionOptions(threads=1)


@pytest.fixture
def tensor() -> Any:
    return np.random.default_rng(0).standard_normal((1, 6, 64, 96)).astype(np.float32)


def changed(bundle: Bundle, tmp_path: Path, model: bytes | None = None, **changes: Any) -> Bundle:
    path = tmp_path / "model.onnx"
    path.write_bytes(bundle.model_path.read_bytes() if model is None else model)
    manifest = msgspec.structs.replace(bundle.manifest, **changes)
    return save_bundle(tmp_path / "changed", manifest, {"model.onnx": path})


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_outputs_by_name_whatever_the_threads(bundle: Bundle, tensor: Any, threads: int) -> None:
    with open_session(bundle, SessionOptions(threads=threads)) as session:
        found = session.infer({"input": tensor})
        described = session.describe()
    assert {name: value.shape for name, value in found.items()} == {
        "hm": (1, 3, 16, 24),
        "wh": (1, 2, 16, 24),
        "reg": (1, 2, 16, 24),
    }
    assert all(value.dtype == np.float32 for value in found.values())
    assert described["runtime"] == "onnxruntime"
    assert described["device"] == "CPU"
    assert described["arithmetic"] == "fp32"
    assert described["threads"] == (str(threads) if threads else "one per physical core")
    with Session(bundle, ONE) as session:
        again = session.infer({"input": tensor})
    for name, value in found.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-3, atol=1e-4)


def test_many_frames_at_once(bundle: Bundle, tensor: Any, in_lanes: Any) -> None:
    assert in_lanes(bundle, {"input": tensor}) == 3


def test_closed_session(bundle: Bundle, tensor: Any) -> None:
    session = Session(bundle, ONE)
    session.close()
    session.close()
    assert session.describe()["runtime"] == "onnxruntime"
    with pytest.raises(EdgeKitError, match="is closed"):
        session.infer({"input": tensor})


@pytest.mark.parametrize("cut", [0, 1000, -1])
def test_model_that_is_none(bundle: Bundle, tmp_path: Path, cut: int) -> None:
    model = bundle.model_path.read_bytes()[:cut] if cut >= 0 else b"not a model"
    with pytest.raises(BundleError, match=r"ONNX Runtime .* refuses"):
        Session(changed(bundle, tmp_path, model), ONE)


def test_manifest_of_another_input(bundle: Bundle, tmp_path: Path) -> None:
    size = msgspec.structs.replace(bundle.manifest.input, height=128)
    with pytest.raises(BundleError, match="not what the manifest says: it has inputs"):
        Session(changed(bundle, tmp_path, input=size), ONE)


def test_missing_runtime(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="onnxruntime") as caught:
        Session(bundle)
    assert caught.value.mend == "Run: pip install edgekit"


def test_frames_go_in_where_the_model_holds_the_cascade(deformable: Path, tmp_path: Path) -> None:
    settings = ExportSettings(cascade_in="graph", decode_in="graph", input_size=(64, 64), top_k=9)
    bundle = export_bundle(deformable, out=tmp_path / "b", settings=settings)
    frame = np.full((1, 64, 64, 3), 90, np.uint8)
    with Session(bundle, ONE) as session:
        found = session.infer({"previous": frame, "frame": frame})
    assert found["detections"].shape == (9, 6)


def test_operator_that_the_runtime_lacks(bundle: Bundle, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(bundle.model_path)
    next(node for node in model.graph.node if node.op_type == "Conv").op_type = "DeformConvolution"
    with pytest.raises(BundleError, match="DeformConv") as caught:
        Session(changed(bundle, tmp_path, model.SerializeToString()), ONE)
    assert "--dcn grid_sample" in caught.value.mend
