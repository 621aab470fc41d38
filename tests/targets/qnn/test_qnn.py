"""Tests bundles for Qualcomm's chips: the errors everywhere, the rest where its package is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import BundleError, ConversionError, EdgeKitError, MissingDependencyError
from edgekit.quantization.base import Recipe
from edgekit.quantization.qnn import QnnQuantizer
from edgekit.targets.base import SessionOptions
from edgekit.targets.build import export_bundle
from edgekit.targets.onnx.session import OnnxSession
from edgekit.targets.qnn import provider
from edgekit.targets.qnn.export import QnnExporter, compile_context
from edgekit.targets.qnn.session import QnnSession
from edgekit.targets.registry import check_runtime, open_session
from edgekit.targets.settings import ExportSettings

FP16 = ExportSettings(precision="fp16")
CPU = SessionOptions(runtime="onnxruntime")


@pytest.fixture
def qualcomm() -> None:
    """Skips without Qualcomm's package."""
    if importlib.util.find_spec("onnxruntime_qnn") is None:
        pytest.skip("onnxruntime-qnn is not installed")


@pytest.fixture
def tensor(bundle: Bundle) -> Any:
    size = bundle.manifest.input
    random = np.random.default_rng(0)
    return random.standard_normal((1, 6, size.height, size.width)).astype(np.float32)


def copied(bundle: Bundle, folder: Path, **changes: Any) -> Bundle:
    manifest = msgspec.structs.replace(
        bundle.manifest, **{"target": "qnn", "precision": "fp16", **changes}
    )
    return save_bundle(folder, manifest, {"model.onnx": bundle.model_path})


def test_a_bundle_runs_on_any_cpu_too(bundle: Bundle, tmp_path: Path, tensor: Any) -> None:
    made = copied(bundle, tmp_path / "b", chip="sm8550")
    with open_session(made, CPU) as session, open_session(bundle) as other:
        found, expected = (one.infer({"input": tensor}) for one in (session, other))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


class _OnTheCpu(QnnSession):
    """Runs what the chip would run on any machine."""

    _open = OnnxSession._open

    @classmethod
    def check_machine(cls) -> None:
        OnnxSession.check_machine()


def test_operators_of_the_float_model_are_not_those_of_the_chip(
    bundle: Bundle, tmp_path: Path, tensor: Any
) -> None:
    with (
        _OnTheCpu(copied(bundle, tmp_path / "b", chip="sm8550")) as session,
        pytest.raises(EdgeKitError, match="qnn does not tell how long its operators take"),
    ):
        session.profile({"input": tensor}, rounds=1)


@pytest.mark.parametrize("chip", ["sm1", msgspec.UNSET])
def test_a_chip_that_nobody_knows(bundle: Bundle, tmp_path: Path, chip: Any) -> None:
    with pytest.raises(BundleError, match="this version of EdgeKit knows sm8550"):
        open_session(copied(bundle, tmp_path / "b", chip=chip))


def test_without_the_package(
    bundle: Bundle, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "_loaded", [])
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", None)
    with pytest.raises(MissingDependencyError, match="onnxruntime_qnn"):
        check_runtime(copied(bundle, tmp_path / "b", chip="sm8550"))
    with pytest.raises(MissingDependencyError, match="onnxruntime_qnn"):
        export_bundle(checkpoint, "qnn", settings=FP16, out=tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_library_that_cannot_be_loaded(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("onnxruntime_qnn")
    package.get_library_path = lambda: str(tmp_path / "missing.so")  # type: ignore[attr-defined]
    monkeypatch.setattr(provider, "_loaded", [])
    monkeypatch.setitem(sys.modules, "onnxruntime_qnn", package)
    with pytest.raises(EdgeKitError, match=r"cannot load Qualcomm's library .*missing\.so"):
        check_runtime(copied(bundle, tmp_path / "b", chip="sm8550"))


def test_the_real_compiler_gives_the_network_twice_alike(
    qualcomm: None, checkpoint: Path, tmp_path: Path, tensor: Any
) -> None:
    made, again = (
        export_bundle(checkpoint, "qnn", settings=FP16, out=tmp_path / name) for name in "ab"
    )
    assert made.read_file("context.onnx") == again.read_file("context.onnx")
    assert made.manifest.chip == "sm8550"
    assert made.manifest.verification is not None
    assert made.manifest.verification.simulator == provider.EMULATOR
    with open_session(made) as session:
        assert "simulated" in session.describe()["device"]


def test_integers_give_the_results_of_onnxruntime(
    qualcomm: None, checkpoint: Path, tmp_path: Path, tensor: Any
) -> None:
    settings = ExportSettings(precision="fp16", chip="sm8650")
    made = export_bundle(checkpoint, "qnn", settings=settings, out=tmp_path / "b")
    assert {entry.path for entry in made.manifest.files} == {"model.onnx", "context.onnx"}
    statistics, int8 = tmp_path / "statistics", tmp_path / "int8"
    statistics.mkdir()
    int8.mkdir()
    tool = QnnQuantizer()
    tool.calibrate(made, [{"input": tensor}], statistics)
    written = tool.quantize(made, statistics, Recipe(method="minmax"), int8)
    changed = msgspec.structs.replace(made.manifest, precision="int8")
    rounded = save_bundle(tmp_path / "c", changed, {name: int8 / name for name in written.files})
    with open_session(rounded) as one, open_session(rounded, CPU) as other:
        found, expected = (session.infer({"input": tensor}) for session in (one, other))
    for name, values in expected.items():
        assert np.abs(found[name] - values).max() < 0.1 * np.abs(values).max()


def test_nodes_that_the_processor_lacks_are_named(qualcomm: None, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 8])
    made = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 8])
    nodes = [
        helper.make_node("Relu", ["input"], ["a"], name="first"),
        helper.make_node("Cosh", ["a"], ["b"], name="dice"),
        helper.make_node("Relu", ["b"], ["out"], name="last"),
    ]
    graph = helper.make_graph(nodes, "g", [given], [made])
    opset = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / "model.onnx")
    with pytest.raises(ConversionError, match="does not support these nodes") as caught:
        compile_context(tmp_path / "model.onnx", "sm8550")
    assert "dice" in caught.value.message
    assert all(name in caught.value.hint for name in QnnExporter.lowerings)
    assert not (tmp_path / "context.onnx").exists()
