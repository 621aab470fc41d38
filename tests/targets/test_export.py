"""Tests ``edgekit.export``, called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.errors import EdgeKitError, OutputError, UsageError
from edgekit.targets.export import ExportOptions
from tests.recorded_progress import RecordedProgress


def test_a_bundle_and_its_progress(checkpoint: Path, tmp_path: Path) -> None:
    progress, out = RecordedProgress(), tmp_path / "bundle"
    names = ["fall", "rise", "roll"]
    bundle = edgekit.export(
        str(checkpoint), input_size=64, classes=names, out=str(out), progress=progress
    )
    assert bundle.path == out
    assert bundle.manifest.classes == tuple(names)
    assert (bundle.manifest.input.height, bundle.manifest.input.width) == (64, 64)
    assert bundle.manifest.verification is not None
    assert progress.seen == [("onnx", 1), "step"]
    with pytest.raises(OutputError):
        edgekit.export(checkpoint, out=out)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"checkpoint": 5},
            "checkpoint to be a path, as a string or a path object; found 5",
        ),
        (
            {"target": "abacus"},
            "Expected target to be one of onnx, openvino, tflite, jetson, ncnn, rknn, qnn",
        ),
        ({"target": None}, "Expected target to be str; found None"),
        ({"input_size": "256"}, "Expected input_size to be tuple[int, int] or None; found '256'"),
        ({"input_size": 100}, "multiples of 32"),
        ({"cascade": "fast"}, "Expected cascade to be one of ssim, ssim-shifted, dssim, rgb"),
        ({"mean": (1, 2)}, "Expected mean to be tuple[float, float, float] or None"),
        ({"top_k": 0}, "Expected top_k to be at least 1; found 0."),
        ({"interval": float("nan")}, "Expected interval to be at least 0.001"),
        ({"tolerance": 0}, "Expected tolerance to be more than 0; found 0."),
        ({"chip": 3}, "Expected chip to be str or None; found 3"),
        ({"chip": "rk3588"}, "for the target onnx is for no chip in particular; found 'rk3588'"),
        ({"precision": "int8"}, "Expected precision to be one of fp32, fp16; found 'int8'."),
        ({"classes": [1, 2, 3]}, "Expected classes to be Sequence[str] or None"),
        ({"force": "no"}, "Expected force to be bool; found 'no'"),
    ],
)
def test_wrong_values(checkpoint: Path, tmp_path: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        edgekit.export(**{"checkpoint": checkpoint, "out": tmp_path / "out", **values})
    assert words in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EdgeKitError, match=r"nothing\.pth"):
        edgekit.export(tmp_path / "nothing.pth")


def test_the_target_that_goes_by_another_name_is_suggested() -> None:
    with pytest.raises(UsageError) as caught:
        ExportOptions(target="tensorrt")
    assert caught.value.hint == "Did you mean jetson?"
