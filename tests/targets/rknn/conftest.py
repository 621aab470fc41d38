"""Boards and toolkits of Rockchip's, stood in for where the real ones cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.targets.rknn import chips, environment

MAGIC = b"RKNN"


class RKNNLite:
    """Stands in for the class of rknn-toolkit-lite2, whose wheel is for aarch64 only.

    It has the signatures of version 2.5.0, reports failures by numbers as that does, and computes
    with ONNX Runtime.
    """

    broken = ""
    """Step that fails: read, start or run."""

    released = 0

    def __init__(self, verbose: bool = False, verbose_file: str | None = None) -> None:
        self._session: Any = None

    def load_rknn(self, path: str, key_path: str | None = None) -> int:
        if self.broken == "read":
            return -1
        content = Path(path).read_bytes()
        assert content.startswith(MAGIC)
        self._content = content[len(MAGIC) :]
        return 0

    def init_runtime(
        self,
        target: str | None = None,
        device_id: str | None = None,
        async_mode: bool = False,
        core_mask: int = 0,
    ) -> int:
        if self.broken == "start":
            return -1
        self._session = onnxruntime.InferenceSession(self._content)
        return 0

    def inference(
        self,
        inputs: list[Any],
        data_type: str | None = None,
        data_format: list[str] | None = None,
        inputs_pass_through: list[int] | None = None,
        get_frame_id: bool = False,
        reuse_outputs: bool = False,
    ) -> list[Any] | None:
        if self.broken == "run":
            return None
        assert data_format == ["nchw"]
        found: list[Any] = self._session.run(None, {"input": inputs[0]})
        return found

    def get_sdk_version(self) -> str:
        return "API: 2.5.0\nDRV: 0.9.8"

    def release(self) -> None:
        type(self).released += 1


@pytest.fixture
def lite(monkeypatch: pytest.MonkeyPatch) -> type[RKNNLite]:
    """A board whose package and library work, until a test breaks them."""
    module, package = ModuleType("rknnlite.api"), ModuleType("rknnlite")

    class Own(RKNNLite):
        pass

    module.RKNNLite = Own  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rknnlite", package)
    monkeypatch.setitem(sys.modules, "rknnlite.api", module)
    return Own


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Makes this machine a board by its device tree, as the kernel writes it."""

    def make(compatible: str) -> None:
        file = tmp_path / "compatible"
        file.write_bytes(b"".join(name.encode() + b"\0" for name in compatible.split()))
        monkeypatch.setattr(chips, "_COMPATIBLE", file)

    return make


@pytest.fixture
def compiled(bundle: Bundle, tmp_path: Path) -> Callable[..., Bundle]:
    """Makes a bundle for the target rknn, which the stand-in runs."""

    def make(chip: str = "rk3588") -> Bundle:
        file = tmp_path / "model.rknn"
        file.write_bytes(MAGIC + bundle.read_model())
        manifest = msgspec.structs.replace(
            bundle.manifest, target="rknn", precision="fp16", chip=chip, model="model.rknn"
        )
        files = {"model.rknn": file, "model.onnx": bundle.model_path}
        return save_bundle(tmp_path / f"bundle-{chip}", manifest, files)

    return make


@pytest.fixture
def fake_toolkit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Makes an environment whose toolkit is a class with the given body."""

    def make(body: str) -> None:
        folder = tmp_path / "environment"
        (folder / "rknn/api").mkdir(parents=True)
        (folder / "rknn/__init__.py").touch()
        (folder / environment._MARK).touch()
        (folder / "rknn/api/__init__.py").write_text(FAKE + body)
        monkeypatch.setattr(environment, "_folder", lambda: folder)

    return make


FAKE = """
class _Working:
    def __init__(self, verbose=False): pass
    def config(self, target_platform): return 0
    def load_onnx(self, model): return 0
    def build(self, do_quantization): return 0
    def export_rknn(self, path): open(path, "wb").write(b"RKNN made"); return 0
    def init_runtime(self): return 0
    def inference(self, inputs, data_format): return [inputs[0]] * 3
"""


@pytest.fixture
def toolkit() -> None:
    """Skips without the environment of the real toolkit."""
    if environment.installed_version() is None:
        pytest.skip("the environment of rknn-toolkit2 was not made")


@pytest.fixture
def tensor(bundle: Bundle) -> Any:
    size = bundle.manifest.input
    random = np.random.default_rng(0)
    return random.standard_normal((1, 6, size.height, size.width)).astype(np.float32)
