"""A fake device that computes with ONNX Runtime, and a bundle for it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit.bundle import Bundle, save_bundle


@pytest.fixture(scope="session")
def stand_in() -> Any:
    """The module ``stand_in`` of this folder."""
    source = Path(__file__).with_name("stand_in.py")
    spec = importlib.util.spec_from_file_location("jetson_stand_in", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def machine(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A Jetson with TensorRT and cuda-bindings, as far as EdgeKit can tell, and a user's home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    found = stand_in.Machine()
    start(stand_in, found, monkeypatch)
    return found


@pytest.fixture
def restart(stand_in: Any, machine: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts the machine again, after it was changed."""
    return lambda: start(stand_in, machine, monkeypatch)


def start(stand_in: Any, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in.tensorrt_of(machine))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", stand_in.cuda_of(machine))


@pytest.fixture(scope="session")
def exported(checkpoint: Path, export: Callable[..., Bundle]) -> Bundle:
    """The small checkpoint for the target jetson: dssim, frame gap 2, all in the graph."""
    return export(checkpoint, "jetson")


@pytest.fixture
def jetson(exported: Bundle, tmp_path: Path) -> Any:
    """Makes copies of that bundle, with changes to the manifest."""

    def make(model: Path | None = None, **changes: Any) -> Bundle:
        path = tmp_path / f"bundle{len(list(tmp_path.glob('bundle*')))}"
        manifest = msgspec.structs.replace(exported.manifest, **changes)
        return save_bundle(path, manifest, {"model.onnx": model or exported.model_path})

    return make
