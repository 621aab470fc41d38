"""Tests bundles on a TFLite interpreter, and their errors."""

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

from edgekit.bundle import Bundle, save_bundle
from edgekit.errors import BundleError, MissingDependencyError
from edgekit.system.installation import install_line
from edgekit.targets.base import SessionOptions
from edgekit.targets.tflite.session import TfliteSession

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


def changed(bundle: Bundle, tmp_path: Path, model: bytes | None = None, **changes: Any) -> Bundle:
    path = tmp_path / "model.tflite"
    path.write_bytes(bundle.model_path.read_bytes() if model is None else model)
    manifest = msgspec.structs.replace(bundle.manifest, **changes)
    return save_bundle(tmp_path / "changed", manifest, {"model.tflite": path})


def test_says_what_runs(lite: Bundle) -> None:
    with TfliteSession(lite, ONE) as session:
        told = session.describe()
    assert told.pop("version").startswith("ai_edge_litert 2.")
    assert told == {
        "runtime": "tflite",
        "device": "CPU, by XNNPACK",
        "arithmetic": "fp32",
        "threads": "1",
    }


def test_frames_go_in_where_the_model_holds_the_cascade(inside: Bundle) -> None:
    frame = np.full((1, 64, 64, 3), 90, np.uint8)
    with TfliteSession(inside, ONE) as session:
        found = session.infer({"previous": frame, "frame": frame})
        assert session.describe()["arithmetic"] == "fp32, weights fp16"
    assert found["detections"].shape == (9, 6)


@pytest.mark.parametrize(
    "model", [b"", b"not a model", b"\x1c\0\0\0TFL3" + b"\xff" * 99, 1000, 500_000]
)
def test_model_that_is_none(lite: Bundle, tmp_path: Path, model: bytes | int) -> None:
    if isinstance(model, int):
        model = lite.model_path.read_bytes()[:model]
    with pytest.raises(BundleError, match=r"ai_edge_litert 2\..* refuses .*: ") as caught:
        TfliteSession(changed(lite, tmp_path, model), ONE)
    assert "--target tflite" in caught.value.hint


def test_missing_runtime(lite: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in INTERPRETERS:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match="ai_edge_litert") as caught:
        TfliteSession(lite)
    assert caught.value.hint == f"Run: {install_line('tflite')}"


def test_a_broken_interpreter_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "ai_edge_litert.py").write_text("raise ImportError('no libstdc++.so.6')\n")
    code = "from edgekit.targets.tflite.session import _interpreter\n_interpreter()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert "which is installed, but cannot be imported: no libstdc++.so.6." in done.stderr


def test_interpreter_of_tensorflow(
    lite: Bundle, tensor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in INTERPRETERS[:2]:
        monkeypatch.setitem(sys.modules, module, None)
    lent = SimpleNamespace(Interpreter=ai_edge_litert.interpreter.Interpreter)
    stand_in = SimpleNamespace(lite=lent, __version__="2.20.0")
    monkeypatch.setitem(sys.modules, "tensorflow", stand_in)
    with TfliteSession(lite, ONE) as session:
        assert session.infer({"input": tensor})["hm"].shape == (1, 3, 16, 24)
        assert session.describe()["version"] == "tensorflow 2.20.0"
    with pytest.raises(BundleError, match=r"tensorflow 2\.20\.0 refuses .* outside"):
        TfliteSession(changed(lite, tmp_path, lite.model_path.read_bytes()[:1000]), ONE)


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
    with TfliteSession(lite, ONE) as session:
        expected = session.infer({"input": tensor})
    with np.load(tmp_path / "found.npz") as found:
        for name, value in expected.items():
            assert np.abs(found[name] - value).max() <= 1e-4 * np.abs(value).max()
