"""Bundles on a TFLite interpreter, and how it is told that something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ai_edge_litert.interpreter
import msgspec
import numpy as np
import pytest

from edgekit.bundle import Bundle, OutputSpec, save_bundle
from edgekit.errors import BundleError, EdgeKitError, MissingDependencyError
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import open_session
from edgekit.targets.tflite.session import Session

ONE = SessionOptions(threads=1)
INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow")
OLDER = """
import sys
from pathlib import Path
import numpy as np
from edgekit.bundle import load_bundle
from edgekit.errors import BundleError
from edgekit.targets.base import SessionOptions
from edgekit.targets.registry import open_session

good, bad, tensor, found = map(Path, sys.argv[1:])
with open_session(load_bundle(good), SessionOptions(threads=1)) as session:
    np.savez(found, **session.infer({"input": np.load(tensor)}))
    print(session.describe()["version"])
try:
    open_session(load_bundle(bad))
except BundleError as error:
    print(error.message)
"""


@pytest.fixture
def tensor() -> Any:
    return np.random.default_rng(0).standard_normal((1, 6, 64, 96)).astype(np.float32)


def changed(bundle: Bundle, tmp_path: Path, model: bytes | None = None, **changes: Any) -> Bundle:
    path = tmp_path / "model.tflite"
    path.write_bytes(bundle.model_path.read_bytes() if model is None else model)
    manifest = msgspec.structs.replace(bundle.manifest, **changes)
    return save_bundle(tmp_path / "changed", manifest, {"model.tflite": path})


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_outputs_by_name_whatever_the_threads(lite: Bundle, tensor: Any, threads: int) -> None:
    with open_session(lite, SessionOptions(threads=threads)) as session:
        found = session.infer({"input": tensor})
        described = session.describe()
    assert {name: value.shape for name, value in found.items()} == {
        "hm": (1, 3, 16, 24),
        "wh": (1, 2, 16, 24),
        "reg": (1, 2, 16, 24),
    }
    assert all(value.dtype == np.float32 for value in found.values())
    assert abs(found["wh"].mean() - 5) < 0.5
    assert abs(found["reg"].mean() - 0.5) < 0.2
    assert described["runtime"] == "tflite"
    assert described["version"].startswith("ai_edge_litert 2.")
    assert described["device"] == "CPU, by XNNPACK"
    assert described["arithmetic"] == "fp32"
    assert 1 <= int(described["threads"]) <= (threads or len(os.sched_getaffinity(0)))
    with Session(lite, ONE) as session:
        again = session.infer({"input": tensor})
    for name, value in found.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-3, atol=1e-4)


def test_outputs_stay_and_any_layout_goes_in(lite: Bundle, tensor: Any) -> None:
    with Session(lite, ONE) as session:
        first = session.infer({"input": tensor})
        kept = {name: value.copy() for name, value in first.items()}
        session.infer({"input": -tensor})
        last = tensor.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
        again = session.infer({"input": last})
    for name, value in kept.items():
        np.testing.assert_array_equal(first[name], value)
        np.testing.assert_array_equal(again[name], value)


def test_frames_go_in_where_the_model_holds_the_cascade(inside: Bundle) -> None:
    frame = np.full((1, 64, 64, 3), 90, np.uint8)
    with Session(inside, ONE) as session:
        found = session.infer({"previous": frame, "frame": frame})
        assert session.describe()["arithmetic"] == "fp32, weights fp16"
    assert found["detections"].shape == (9, 6)


def test_many_frames_at_once(lite: Bundle, tensor: Any, in_lanes: Any) -> None:
    assert in_lanes(lite, {"input": tensor}) == 3


def test_closed_session(lite: Bundle, tensor: Any) -> None:
    session = Session(lite, ONE)
    session.close()
    session.close()
    assert session.describe()["runtime"] == "tflite"
    with pytest.raises(EdgeKitError, match="is closed"):
        session.infer({"input": tensor})


@pytest.mark.parametrize(
    "model", [b"", b"not a model", b"\x1c\0\0\0TFL3" + b"\xff" * 99, 1000, 9_000_000]
)
def test_model_that_is_none(lite: Bundle, tmp_path: Path, model: bytes | int) -> None:
    if isinstance(model, int):
        model = lite.model_path.read_bytes()[:model]
    with pytest.raises(BundleError, match=r"ai_edge_litert 2\..* refuses .*: ") as caught:
        Session(changed(lite, tmp_path, model), ONE)
    assert "--target tflite" in caught.value.mend


def test_manifest_of_another_input(lite: Bundle, tmp_path: Path) -> None:
    size = msgspec.structs.replace(lite.manifest.input, height=128)
    with pytest.raises(BundleError, match="not what the manifest says: it has inputs"):
        Session(changed(lite, tmp_path, input=size), ONE)


def test_manifest_of_other_outputs(lite: Bundle, tmp_path: Path) -> None:
    outputs = (OutputSpec(name="boxes", meaning="", layout="", channels=6),)
    with pytest.raises(BundleError, match=r"it has outputs .*, not boxes"):
        Session(changed(lite, tmp_path, outputs=outputs), ONE)


def test_missing_runtime(lite: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in INTERPRETERS:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match="ai_edge_litert") as caught:
        Session(lite)
    assert caught.value.mend == 'Run: pip install "edgekit[tflite]"'


def test_interpreter_of_tensorflow(
    lite: Bundle, tensor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in INTERPRETERS[:2]:
        monkeypatch.setitem(sys.modules, module, None)
    lent = SimpleNamespace(Interpreter=ai_edge_litert.interpreter.Interpreter)
    stand_in = SimpleNamespace(lite=lent, __version__="2.20.0")
    monkeypatch.setitem(sys.modules, "tensorflow", stand_in)
    with Session(lite, ONE) as session:
        assert session.infer({"input": tensor})["hm"].shape == (1, 3, 16, 24)
        assert session.describe()["version"] == "tensorflow 2.20.0"
    with pytest.raises(BundleError, match=r"tensorflow 2\.20\.0 refuses .* outside"):
        Session(changed(lite, tmp_path, lite.model_path.read_bytes()[:1000]), ONE)


def test_tflite_runtime_in_its_own_environment(lite: Bundle, tensor: Any, tmp_path: Path) -> None:
    python = os.environ.get("EDGEKIT_TFLITE_RUNTIME_PYTHON")
    if not python:
        pytest.skip(
            "needs EDGEKIT_TFLITE_RUNTIME_PYTHON: the python of an environment with "
            "tflite-runtime 2.14.0, numpy<2 and opencv-python-headless<4.12, msgspec, click, rich"
        )
    np.save(tmp_path / "tensor.npy", tensor)
    bad = changed(lite, tmp_path, lite.model_path.read_bytes()[:9_000_000])
    paths = [lite.path, bad.path, tmp_path / "tensor.npy", tmp_path / "found.npz"]
    done = subprocess.run(
        [python, "-c", OLDER, *map(str, paths)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    version, refusal = done.stdout.splitlines()
    assert version == "tflite_runtime 2.14.0"
    assert "tflite_runtime 2.14.0 refuses" in refusal
    with Session(lite, ONE) as session:
        expected = session.infer({"input": tensor})
    with np.load(tmp_path / "found.npz") as found:
        for name, value in expected.items():
            assert np.abs(found[name] - value).max() <= 1e-4 * np.abs(value).max()
