"""Tests bundles on ONNX Runtime, and their errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.detector import Detector
from edgekit.errors import BundleError, MissingDependencyError
from edgekit.system.installation import install_line
from edgekit.targets.base import SessionOptions
from edgekit.targets.onnx.session import OnnxSession

ONE = SessionOptions(threads=1)


def changed(bundle: Bundle, tmp_path: Path, model: bytes | None = None, **changes: Any) -> Bundle:
    path = tmp_path / "model.onnx"
    path.write_bytes(bundle.model_path.read_bytes() if model is None else model)
    manifest = msgspec.structs.replace(bundle.manifest, **changes)
    return save_bundle(tmp_path / "changed", manifest, {"model.onnx": path})


@pytest.mark.parametrize(
    ("hint", "threads", "told"),
    [
        (None, 0, "one per physical core"),
        ("latency", 2, "2"),
        ("throughput", 3, "3, a frame each"),
    ],
)
def test_says_what_runs(bundle: Bundle, hint: Any, threads: int, told: str) -> None:
    with OnnxSession(bundle, SessionOptions(hint=hint, threads=threads)) as session:
        assert session.describe() == {
            "runtime": "onnxruntime",
            "version": onnxruntime.__version__,
            "device": "CPU",
            "arithmetic": "fp32",
            "threads": told,
        }


@pytest.mark.parametrize("cut", [0, 1000, -1])
def test_model_that_is_none(bundle: Bundle, tmp_path: Path, cut: int) -> None:
    model = bundle.model_path.read_bytes()[:cut] if cut >= 0 else b"not a model"
    with pytest.raises(BundleError, match=r"ONNX Runtime .* refuses"):
        OnnxSession(changed(bundle, tmp_path, model), ONE)


def test_missing_runtime(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="onnxruntime") as caught:
        OnnxSession(bundle)
    assert caught.value.hint == f"Run: {install_line()}"


def test_frames_go_in_where_the_model_holds_the_cascade(
    checkpoint: Path, export: Callable[..., Bundle]
) -> None:
    bundle = export(checkpoint, cascade_in="graph", decode_in="graph")
    frame = np.full((1, 64, 96, 3), 90, np.uint8)
    with OnnxSession(bundle, ONE) as session:
        found = session.infer({"previous": frame, "frame": frame})
    assert found["detections"].shape == (bundle.manifest.decode.top_k, 6)


def test_operator_that_the_runtime_lacks(bundle: Bundle, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(bundle.model_path)
    next(node for node in model.graph.node if node.op_type == "Conv").op_type = "DeformConvolution"
    with pytest.raises(BundleError, match="DeformConv") as caught:
        OnnxSession(changed(bundle, tmp_path, model.SerializeToString()), ONE)
    assert "--dcn grid_sample" in caught.value.hint


def test_a_graph_whose_output_changes_its_rank(spotter: Bundle, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(spotter.model_path))
    graph = model.graph
    shapes = ("rank", [4]), ("from", [0]), ("all", [1, 2, 16, 16, 1])
    for name, values in (("dark", 0.5), ("blue", 0), *shapes):
        kind = np.float32 if name == "dark" else np.int64
        graph.initializer.append(numpy_helper.from_array(np.array(values, kind), name))
    # The heatmap gets a fifth dimension from the first bright frame on.
    graph.node.extend(
        [
            helper.make_node("Gather", ["input", "blue"], ["picture"], axis=1),
            helper.make_node("ReduceMax", ["picture"], ["brightest"], keepdims=0),
            helper.make_node("Greater", ["brightest", "dark"], ["is_bright"]),
            helper.make_node("Cast", ["is_bright"], ["one_more"], to=TensorProto.INT64),
            helper.make_node("Add", ["rank", "one_more"], ["until"]),
            helper.make_node("Slice", ["all", "from", "until"], ["shape"]),
            helper.make_node("Reshape", ["logits", "shape"], ["hm"]),
        ]
    )
    for node in graph.node:
        if "hm" in node.output and node.op_type == "Conv":
            node.output[0] = "logits"
    for output in graph.output:
        if output.name == "hm":
            output.type.tensor_type.ClearField("shape")
    onnx.save(model, str(tmp_path / "model.onnx"))
    files = {"model.onnx": tmp_path / "model.onnx"}
    bundle = save_bundle(tmp_path / "bundle", spotter.manifest, files)
    with Detector(bundle) as detector:
        detector.detect(np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(BundleError, match=r"hm of shape \(1, 2, 16, 16, 1\)"):
            detector.detect(np.full((64, 64, 3), 255, np.uint8))


def test_a_model_in_the_runtimes_own_format_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(bundle.read_model(), options)
    converted = changed(bundle, tmp_path, (tmp_path / "model.ort").read_bytes())
    with pytest.raises(BundleError, match=r"not a valid ONNX model: it has the format of"):
        OnnxSession(converted, ONE)
