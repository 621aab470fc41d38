"""Tests that CenterNet's models of COCO and VOC get the input that they were trained with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from edgekit.classes import CLASS_LISTS
from edgekit.models.checkpoints import Checkpoint
from edgekit.models.registry import NetworkSpec
from edgekit.targets.onnx.export import OnnxExporter
from edgekit.targets.published import MEAN, STD
from edgekit.targets.settings import ExportSettings, Resolved, resolve

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def resolved(
    name: str,
    count: int,
    channels: int = 3,
    settings: ExportSettings | None = None,
    arch: str = "dla34",
    **metadata: object,
) -> Resolved:
    strings = {key: json.dumps(value) for key, value in metadata.items()}
    spec = NetworkSpec(arch, count, channels, 256)
    loaded = Checkpoint(nn.Identity(), spec, "0" * 64, None, strings)
    return resolve(settings or ExportSettings(), loaded, Path(name), OnnxExporter())


@pytest.mark.parametrize(
    ("name", "arch", "classes", "size", "pixels"),
    [
        ("ctdet_coco_dla_2x.pth", "dla34", "coco", 512, (MEAN, STD)),
        ("ctdet_coco_resdcn18.pth", "resdcn18", "coco", 512, (MEAN, STD)),
        ("ctdet_coco_resdcn101.pth", "resdcn101", "coco", 512, (MEAN, STD)),
        ("ctdet_pascal_dla_384.pth", "dla34", "voc", 384, IMAGENET),
        ("ctdet_pascal_dla_512.pth", "dla34", "voc", 512, IMAGENET),
        ("ctdet_pascal_resdcn18_384.pth", "resdcn18", "voc", 384, IMAGENET),
        ("ctdet_pascal_resdcn101_512.pth", "resdcn101", "voc", 512, IMAGENET),
        ("model_last.pth", "resdcn18", "voc", 384, IMAGENET),
    ],
)
def test_published_models_run_as_they_come(
    name: str,
    arch: str,
    classes: str,
    size: int,
    pixels: tuple[object, object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = resolved(name, len(CLASS_LISTS[classes]), arch=arch)
    assert found.classes == CLASS_LISTS[classes]
    assert (found.input.height, found.input.width) == (size, size)
    assert (found.input.mean, found.input.std) == pixels
    assert found.cascade.kind == "rgb"
    (line,) = caplog.messages
    assert line.startswith(f"{name} looks like a CenterNet model of {classes.upper()}")
    assert f"classes='{classes}', input_size={size}, mean=(0.4" in line


def test_only_assumed_values_are_named(caplog: pytest.LogCaptureFixture) -> None:
    given = ExportSettings(input_size=(256, 320), classes=CLASS_LISTS["voc"])
    found = resolved("a.pth", 20, settings=given, std=[0.5, 0.5, 0.5])
    assert (found.input.height, found.input.width) == (256, 320)
    assert (found.input.mean, found.input.std) == (IMAGENET[0], (0.5, 0.5, 0.5))
    (line,) = caplog.messages
    assert "published models: mean=(0.485, 0.456, 0.406). If" in line


@pytest.mark.parametrize(
    ("count", "channels", "settings"),
    [
        (80, 6, ExportSettings()),
        (20, 6, ExportSettings()),
        (24, 3, ExportSettings()),
        (3, 3, ExportSettings()),
        (20, 3, ExportSettings(classes=tuple(map(str, range(20))))),
    ],
)
def test_other_models_keep_the_usual_values(
    count: int, channels: int, settings: ExportSettings, caplog: pytest.LogCaptureFixture
) -> None:
    found = resolved("model_512.pth", count, channels, settings)
    assert (found.input.height, found.input.width) == (256, 256)
    assert (found.input.mean, found.input.std) == (MEAN, STD)
    assert not caplog.messages


def test_a_checkpoint_that_records_everything_has_nothing_assumed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = resolved(
        "weights.safetensors",
        80,
        classes=CLASS_LISTS["coco"],
        input_size=[128, 128],
        mean=[0, 0, 0],
        std=[1, 1, 1],
    )
    assert (found.input.height, found.input.mean) == (128, (0, 0, 0))
    assert not caplog.messages
