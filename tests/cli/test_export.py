"""Tests ``edgekit export`` and ``edgekit inspect``: output and exit statuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file

from edgekit.bundle import Quantization, RoundingCheck, load_bundle, save_bundle
from edgekit.classes import CLASS_LISTS
from edgekit.cli import main as run
from edgekit.detector import Detector
from edgekit.models.checkpoints import save_checkpoint
from edgekit.models.registry import build
from edgekit.system.installation import install_line


@pytest.fixture(scope="module")
def weights(own_networks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "little.safetensors"
    save_checkpoint(path, build("tiny", classes=2, channels=3, head_conv=4), {})
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def exported(weights: Path) -> Path:
    out = weights.parent / "bundle"
    assert run(["export", str(weights), "--input-size", "64x96", "-o", str(out)]) == 0
    return out


def test_example_of_the_help(weights: Path, here: Path, capfd: Any) -> None:
    (here / "names.txt").write_text("fall\nrise\n")
    words = ["--classes", "names.txt", "--input-size", "64", "--name", "mine", "--json"]
    assert run(["export", str(weights), "--target", "onnx", *words]) == 0
    printed = capfd.readouterr()
    (found,) = json.loads(printed.out)["bundles"]
    bundle = load_bundle(here / "artifacts" / "mine-onnx-fp32")
    assert found["path"] == str(Path("artifacts/mine-onnx-fp32"))
    assert (found["target"], found["precision"]) == ("onnx", "fp32")
    assert (found["sha256"], found["size"]) == (bundle.sha256, bundle.size)
    assert found["verification"]["heads"]["hm"]["max_difference"] < 1e-3
    assert bundle.manifest.classes == ("fall", "rise")
    assert "same boxes" in " ".join(printed.err.split())


def test_inspect_says_it_all(exported: Path, capsys: Any) -> None:
    assert run(["inspect", str(exported)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for part in (
        "little (tiny)",
        "onnx, opset 20",
        "64x96 BGR",
        "rgb, frame gap 1",
        "outside the model",
        "2: class0, class1",
        "7 Conv",
        "little.safetensors",
        "model.onnx",
        "same boxes",
    ):
        assert part in printed


@pytest.mark.parametrize(("sqnr", "end"), [({"hm": 40.0}, "1.000; hm 40.0 dB"), ({}, "1.000")])
def test_inspect_says_the_loss_of_rounding(
    exported: Path, tmp_path: Path, capsys: Any, sqnr: dict[str, float], end: str
) -> None:
    made = load_bundle(exported)
    check = RoundingCheck(
        frames=9, objects=3, annotated=True, float_map=0.9, frame_map=0.8, agreement=1.0, sqnr=sqnr
    )
    done = Quantization(method="mse", samples=8, check=check)
    manifest = structs.replace(made.manifest, precision="int8", quantization=done)
    files = {entry.path: made.path / entry.path for entry in made.manifest.files}
    save_bundle(tmp_path / "int8", manifest, files)
    assert run(["inspect", str(tmp_path / "int8")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"0.9000 to 0.8000 on 9 frames; agreement of detections {end} input" in shown


def test_inspect_as_json(exported: Path, capsys: Any) -> None:
    assert run(["inspect", str(exported), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sha256"] == load_bundle(exported).sha256
    assert found["operators"]["Conv"] == 7
    assert found["manifest"] == json.loads((exported / "manifest.json").read_text())


def test_inspect_without_onnx(exported: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert run(["inspect", str(exported)]) == 0
    assert install_line("host") in " ".join(capsys.readouterr().out.split())
    assert run(["inspect", str(exported), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["operators"] is None


def test_a_file_of_a_bundle_points_to_its_folder(exported: Path, capsys: Any) -> None:
    assert run(["inspect", str(exported / "model.onnx")]) == 3
    assert f"Name its folder: {exported}" in capsys.readouterr().err


def test_inspect_of_an_edited_bundle(exported: Path, tmp_path: Path, capsys: Any) -> None:
    import shutil

    shutil.copytree(exported, tmp_path / "b")
    (tmp_path / "b" / "model.onnx").write_bytes(b"")
    assert run(["inspect", str(tmp_path / "b")]) == 3
    assert "has 0 bytes" in capsys.readouterr().err
    assert run(["inspect", str(tmp_path / "none")]) == 3


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--cascade", "ssim"], 2, "gives 6 input channels"),
        (["--input-size", "100"], 2, "multiples of 32"),
        (["--target", "abacus"], 2, "abacus"),
        (["--precision", "int4"], 2, "int4"),
        (["--arch", "resdcn10"], 2, "not one of auto, dla34"),
        (["--name", "a/b"], 2, "--name a-b"),
        (["--top-k", "99999999"], 2, "top_k 99999999"),
        (["--frame-gap", "1001"], 2, "frame_gap 1001"),
        (["--mean", "1e9", "0", "0"], 2, "mean"),
        (["--classes", "nothing"], 2, "nothing cannot be read"),
        (["--std", "1", "1", "0"], 2, "--std to be above 0"),
        (["--classes", "ucf24"], 3, "Expected 24 classes"),
        (["--arch", "res18"], 3, "--arch tiny"),
        (["--frames", "nothing.mp4"], 3, "nothing.mp4"),
        (
            ["--tolerance", "1e-12", "--input-size", "64"],
            5,
            "differs from PyTorch in the output hm",
        ),
    ],
)
def test_failures(
    weights: Path, here: Path, capsys: Any, words: list[str], status: int, message: str
) -> None:
    assert run(["export", str(weights), *words, "--json"]) == status
    printed = capsys.readouterr()
    assert message in printed.err
    assert json.loads(printed.out)["error"]["status"] == status
    assert list(here.iterdir()) == []


def test_checkpoint_that_is_none(here: Path, capsys: Any) -> None:
    (here / "x.pth").write_bytes(b"PK\x03\x04 and nothing more")
    assert run(["export", "x.pth"]) == 3
    assert run(["export", "y.pth"]) == 3
    assert "y.pth" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["x.pth"]


def test_bundle_that_is_there_already(weights: Path, exported: Path, capsys: Any) -> None:
    words = ["export", str(weights), "--input-size", "64", "-o", str(exported)]
    before = load_bundle(exported)
    assert run(words) == 3
    assert "--force" in capsys.readouterr().err
    assert load_bundle(exported) == before


def test_a_checkpoint_in_the_folder_of_a_bundle_stays(
    weights: Path, exported: Path, tmp_path: Path, capsys: Any
) -> None:
    own = tmp_path / "own"
    shutil.copytree(exported, own)
    checkpoint = own / "model.pth"
    checkpoint.write_bytes(weights.read_bytes())
    assert run(["export", str(checkpoint), "--input-size", "64", "-o", str(own), "--force"]) == 3
    assert f"does not replace {own}: it reads {checkpoint}." in capsys.readouterr().err
    assert checkpoint.exists()


def test_without_torch(weights: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(["export", str(weights)]) == 4
    assert install_line("host") in capsys.readouterr().err


def test_a_wrapped_checkpoint_gives_the_same_model(
    weights: Path, exported: Path, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = {f"module._orig_mod.{k}": v for k, v in load_file(weights).items()}
    other = {f"model.{k}": v + 1 for k, v in load_file(weights).items()}
    content = {"ema": {**state, "n_averaged": torch.tensor(3)}, "state_dict": other}
    torch.save(content, here / "little.ckpt")
    assert run(["export", "little.ckpt", "--input-size", "64x96", "-o", "wrapped"]) == 0
    assert (here / "wrapped/model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()
    assert "Taken: ema. Not taken: state_dict.model." in caplog.text


def test_a_model_of_voc_runs_as_it_comes(
    own_networks: None, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    network = build("small-deformable", classes=20, channels=3)
    name = "ctdet_pascal_small_384"
    torch.save({"epoch": 70, "state_dict": network.state_dict()}, here / f"{name}.pth")
    assert run(["export", f"{name}.pth", "--dcn", "deform_conv"]) == 0
    bundle = load_bundle(here / "artifacts" / f"{name}-onnx-fp32")
    assert bundle.manifest.classes == CLASS_LISTS["voc"]
    assert (bundle.manifest.input.height, bundle.manifest.input.width) == (384, 384)
    assert bundle.manifest.cascade.kind == "rgb"
    lines = [line for line in caplog.messages if "CenterNet model" in line]
    assert len(lines) == 1
    assert "--classes voc, --input-size 384, --mean 0.485 0.456 0.406, --std 0.229" in lines[0]
    with Detector(bundle) as detector:
        found = detector.detect(np.full((240, 320, 3), 90, np.uint8))
    assert found.scores.shape[1] == 20
