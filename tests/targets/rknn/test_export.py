"""Tests exports for Rockchip's chips, and what follows when the toolkit fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import ConversionError, EdgeKitError, MissingDependencyError, UsageError
from edgekit.quantization.base import Recipe
from edgekit.quantization.rknn import RknnQuantizer
from edgekit.targets.base import SessionOptions
from edgekit.targets.build import export_bundle
from edgekit.targets.registry import open_session
from edgekit.targets.rknn import environment
from edgekit.targets.rknn.export import convert
from edgekit.targets.settings import ExportSettings

FP16 = ExportSettings(precision="fp16")
SIMULATED = SessionOptions(runtime="rknn-simulator")


@pytest.fixture
def model(bundle: Bundle) -> Path:
    return bundle.model_path


def test_a_toolkit_that_works(fake_toolkit: Any, model: Path, tmp_path: Path) -> None:
    fake_toolkit("class RKNN(_Working): pass")
    convert(model, tmp_path / "m.rknn", "rk3588")
    assert (tmp_path / "m.rknn").read_bytes() == b"RKNN made"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def export_rknn(self, path): return 0", "without an error and without a model for rk"),
        ("def export_rknn(self, path): open(path, 'wb').write(b'?'); return 0", "without a model"),
        ("def build(self, **given): print('E no Loop'); return -1", "no Loop"),
        ("def load_onnx(self, model): raise ValueError('a bad file')", "a bad file"),
        ("def load_onnx(self, model): import os; os.kill(os.getpid(), 11)", "SIGSEGV"),
    ],
)
def test_a_toolkit_that_fails_writes_nothing(
    fake_toolkit: Any, model: Path, tmp_path: Path, body: str, words: str
) -> None:
    fake_toolkit(f"class RKNN(_Working):\n    {body}\n")
    with pytest.raises(ConversionError, match=words):
        convert(model, tmp_path / "m.rknn", "rk3588")
    assert not (tmp_path / "m.rknn").exists()


def test_a_simulator_that_ends(fake_toolkit: Any, compiled: Any, tensor: Any) -> None:
    fake_toolkit(
        "class RKNN(_Working):\n    def inference(self, **given): raise ValueError('lost')"
    )
    with (
        open_session(compiled(), SIMULATED) as session,
        pytest.raises(EdgeKitError, match=r"simulator ended (.|\n)*lost"),
    ):
        session.infer({"input": tensor})


def test_a_simulator_that_does_not_start(fake_toolkit: Any, compiled: Any) -> None:
    fake_toolkit("class RKNN(_Working):\n    def init_runtime(self): return -1")
    with pytest.raises(EdgeKitError, match="start of the simulator failed with status -1"):
        open_session(compiled(), SIMULATED)


def test_without_the_environment(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_folder", lambda: tmp_path / "missing")
    with pytest.raises(MissingDependencyError) as caught:
        export_bundle(checkpoint, "rknn", settings=FP16, out=tmp_path / "b")
    assert environment.MAKE in caught.value.hint


def test_other_precisions_and_chips(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Expected precision to be one of fp16"):
        export_bundle(checkpoint, "rknn", out=tmp_path / "b")
    settings = ExportSettings(precision="fp16", chip="rk1")
    with pytest.raises(UsageError, match=r"Expected chip to be one of rk3588, .*; found 'rk1'"):
        export_bundle(checkpoint, "rknn", settings=settings, out=tmp_path / "b")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decode_in": "graph"}, "TopK"),
        ({"cascade_in": "graph"}, "8-bit pictures"),
    ],
)
def test_what_the_chip_lacks_is_named(
    fake_toolkit: Any, checkpoint: Path, tmp_path: Path, settings: Any, words: str
) -> None:
    fake_toolkit("class RKNN(_Working): pass")
    chosen = ExportSettings(precision="fp16", **settings)
    with pytest.raises(ConversionError, match=f"do not support .*{words}") as caught:
        export_bundle(checkpoint, "rknn", settings=chosen, out=tmp_path / "b")
    assert "host" in caught.value.hint


def test_the_real_toolkit_gives_the_network_twice_alike(
    toolkit: None, checkpoint: Path, tmp_path: Path, tensor: Any
) -> None:
    made, again = (
        export_bundle(checkpoint, "rknn", settings=FP16, out=tmp_path / name) for name in "ab"
    )
    assert made.read_model() == again.read_model()
    manifest = made.manifest
    assert (manifest.chip, manifest.opset) == ("rk3588", 19)
    assert manifest.verification is not None
    assert manifest.verification.simulator == "Rockchip's simulator"
    statistics, int8 = tmp_path / "statistics", tmp_path / "int8"
    statistics.mkdir()
    int8.mkdir()
    tool = RknnQuantizer()
    tool.calibrate(made, [{"input": tensor}], statistics)
    layers = {layer.name for layer in tool.layers(made)}
    written = tool.quantize(made, statistics, Recipe(method="minmax"), int8)
    smaller = (int8 / written.model).stat().st_size
    assert smaller < made.model_path.stat().st_size
    changed = msgspec.structs.replace(manifest, precision="int8", model=written.model)
    files = {name: int8 / name for name in written.files}
    rounded = save_bundle(tmp_path / "rounded", changed, files)
    with open_session(made, SIMULATED) as one, open_session(rounded, SIMULATED) as other:
        expected, found = (session.infer({"input": tensor}) for session in (one, other))
    for name, values in expected.items():
        error = np.abs(found[name] - values).max() / np.abs(values).max()
        assert 1e-5 < error < 0.2
    everything = tool.quantize(
        made, statistics, Recipe(method="minmax", keep_float=frozenset(layers)), int8
    )
    assert (int8 / everything.model).stat().st_size > smaller
