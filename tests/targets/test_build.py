"""Tests that a checkpoint becomes a verified bundle, or an error and no files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import onnx
import pytest
import torch

from edgekit.assets.pictures import verification_frames
from edgekit.bundle import Bundle, load_bundle
from edgekit.classes import CLASS_LISTS
from edgekit.detector import Detector
from edgekit.errors import BoundError, CheckpointError, MediaError, OutputError, UsageError
from edgekit.models.checkpoints import Checkpoint, load_checkpoint
from edgekit.models.dcn import LOWERINGS
from edgekit.targets.build import bundle_path, export_bundle
from edgekit.targets.onnx.export import OnnxExporter
from edgekit.targets.published import MEAN, STD
from edgekit.targets.settings import ExportSettings, resolve
from edgekit.targets.verify import agreement, read_clip


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path / "model.onnx").graph.node}


def test_bundle_says_what_the_checkpoint_says(bundle: Bundle, checkpoint: Path) -> None:
    manifest = bundle.manifest
    assert bundle == load_bundle(bundle.path)
    assert (manifest.name, manifest.arch, manifest.precision) == ("Small-one", "small-lite", "fp32")
    assert manifest.classes == ("walk", "run", "jump")
    assert (manifest.input.height, manifest.input.width) == (64, 96)
    assert manifest.input.mean == (0.1, 0.2, 0.3)
    assert (manifest.cascade.kind, manifest.cascade.frame_gap) == ("dssim", 2)
    assert [(out.name, out.channels) for out in manifest.outputs] == [
        ("hm", 3),
        ("wh", 2),
        ("reg", 2),
    ]
    assert manifest.opset == 20
    assert set(manifest.converter) == {"onnx", "onnxscript", "torch"}
    assert manifest.provenance.checkpoint == "small.safetensors"
    assert manifest.provenance.checkpoint_sha256 == load_checkpoint(checkpoint).sha256
    found = manifest.verification
    assert found is not None
    assert found.frames == 9
    assert set(found.heads) == {"hm", "wh", "reg"}
    assert all(head.max_difference <= 1e-4 * head.largest for head in found.heads.values())
    assert all(head.largest > 0.1 and head.cosine > 0.9999 for head in found.heads.values())
    assert found.top_detections_agreeing > 0.99
    assert "BatchNormalization" not in operators(bundle.path)


def test_same_checkpoint_gives_same_bytes(
    bundle: Bundle,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    again = export_bundle(checkpoint, out=tmp_path / "b")
    assert again.sha256 == bundle.sha256
    assert again.manifest.provenance.date == "2023-11-14"
    written = bundle.model_path.read_bytes()
    assert again.model_path.read_bytes() == written
    for trace in (b"stack_trace", b".py", b"/work", str(Path.home()).encode(), b"pkg."):
        assert trace not in written
    assert capfd.readouterr() == ("", "")


def test_everything_in_the_graph_detects_the_same(
    bundle: Bundle, checkpoint: Path, export: Callable[..., Bundle]
) -> None:
    inside = export(checkpoint, cascade_in="graph", decode_in="graph")
    assert inside.manifest.cascade.place == inside.manifest.decode.place == "graph"
    assert [out.name for out in inside.manifest.outputs] == ["detections"]
    assert inside.manifest.verification is not None
    assert set(inside.manifest.verification.heads) == {"scores", "boxes"}
    with Detector(bundle) as one, Detector(inside) as other:
        for frame in verification_frames()[0]:
            expected, found = one.detect(frame), other.detect(frame)
            assert len(expected) > 3
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_half_precision(checkpoint: Path, tmp_path: Path) -> None:
    bundle = export_bundle(
        checkpoint, out=tmp_path / "b", settings=ExportSettings(precision="fp16")
    )
    model = onnx.load(bundle.model_path)
    assert bundle.size < 0.6 * checkpoint.stat().st_size
    assert {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)} == {
        onnx.TensorProto.FLOAT
    }
    found = bundle.manifest.verification
    assert found is not None
    assert found.tolerance == 2e-2
    assert any(head.max_difference > 1e-5 * head.largest for head in found.heads.values())


def test_half_precision_with_everything_in_the_graph(deformable: Path, tmp_path: Path) -> None:
    settings = ExportSettings(
        precision="fp16", cascade_in="graph", decode_in="graph", input_size=(64, 64)
    )
    found = export_bundle(deformable, out=tmp_path / "b", settings=settings).manifest.verification
    assert found is not None
    assert found.heads["boxes"].max_difference <= 2e-2 * found.heads["boxes"].largest


@pytest.mark.parametrize(
    ("lowering", "precision"), [(name, "fp32") for name in LOWERINGS] + [("gather", "fp16")]
)
def test_every_lowering(
    deformable: Path, export: Callable[..., Bundle], lowering: str, precision: str
) -> None:
    bundle = export(deformable, dcn=lowering, input_size=(64, 64), precision=precision)
    mark = {"deform_conv": "DeformConv", "grid_sample": "GridSample", "gather": "MatMul"}
    found = operators(bundle.path)
    assert mark[lowering] in found
    assert "BatchNormalization" not in found
    assert bundle.manifest.cascade.kind == "rgb"
    assert bundle.manifest.classes == ("class0", "class1")


def test_over_the_tolerance_nothing_is_written(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(
        BoundError, match=r"differs from PyTorch in the output hm by .*1e-12 of the largest"
    ):
        export_bundle(tiny, out=tmp_path / "b", settings=ExportSettings(tolerance=1e-12))
    assert list(tmp_path.iterdir()) == []


def test_over_the_tolerance_the_old_bundle_stays(
    bundle: Bundle, tiny: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle.path, tmp_path / "b")
    settings = ExportSettings(tolerance=1e-12)
    with pytest.raises(BoundError):
        export_bundle(tiny, out=tmp_path / "b", force=True, settings=settings)
    assert load_bundle(tmp_path / "b").sha256 == bundle.sha256
    with pytest.raises(OutputError, match="already exists"):
        export_bundle(tiny, out=tmp_path / "b")


def test_unwritable_place(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        export_bundle(tiny, out=tmp_path / "file" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_full_disk(tiny: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(240 << 10))
    with pytest.raises(OutputError, match="No space left"):
        export_bundle(tiny, out=small_disk / "b")
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_verification_on_ones_own_video(tiny: Path, tmp_path: Path) -> None:
    writer = cv2.VideoWriter(
        str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (128, 96)
    )
    for index in range(12):
        writer.write(np.full((96, 128, 3), 20 * index, np.uint8))
    writer.release()
    clip = read_clip(tmp_path / "v.avi")
    assert len(clip) == 9
    bundle = export_bundle(tiny, out=tmp_path / "b", clips=[clip[:4]])
    assert bundle.manifest.verification is not None
    assert bundle.manifest.verification.frames == 4


def test_clip_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match="no picture that OpenCV can decode"):
        read_clip(tmp_path / "v.mp4")
    for missing in ("w.mp4", "long" * 100):
        with pytest.raises(MediaError, match="there is none"):
            read_clip(tmp_path / missing)
    with pytest.raises(MediaError, match=r"Expected the file of a video; .* is a folder"):
        read_clip(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ExportSettings(cascade="rgb"), "gives 3 input channels; the network .* expects 6"),
        (ExportSettings(cascade="flow"), "Expected cascade to be one of"),
        (ExportSettings(first_frame="last"), "Expected first_frame to be one of"),
        (ExportSettings(input_size=(64, 100)), "multiples of 32"),
        (ExportSettings(input_size=(32, 64)), "at least 64"),
        (ExportSettings(frame_gap=0), "at least 1"),
        (ExportSettings(top_k=0), "at least 1"),
        (ExportSettings(std=(1, 0, 1)), "std to be above 0"),
        (ExportSettings(mean=(1, float("nan"), 1)), "finite"),
        (ExportSettings(mean=(104, 117, 123)), r"numbers from 0 to 1.*found \(104, 117, 123\)"),
        (ExportSettings(std=(58.4, 57.1, 57.4)), "numbers from 0 to 1"),
        (ExportSettings(mean=(0, -0.1, 0)), "numbers from 0 to 1"),
        (ExportSettings(name="../x"), "Expected a name"),
        (ExportSettings(cascade_in="here"), "Expected cascade_in to be one of"),
        (ExportSettings(precision="int4"), r"precision to be one of fp32, fp16 .*'int4'"),
        (ExportSettings(dcn="im2col"), r"Expected dcn to be one of .*'im2col'"),
        (ExportSettings(tolerance=0.0), "tolerance to be more than 0"),
        (ExportSettings(arch="vgg"), "Expected arch to be one of dla34"),
    ],
)
def test_choices_that_cannot_be(
    checkpoint: Path, tmp_path: Path, settings: ExportSettings, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        export_bundle(checkpoint, out=tmp_path / "b", settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_unknown_target(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="Expected target to be one of onnx"):
        export_bundle(checkpoint, "abacus")


def test_classes_that_do_not_fit_are_counted(checkpoint: Path, tmp_path: Path) -> None:
    settings = ExportSettings(classes=CLASS_LISTS["ucf24"])
    with pytest.raises(CheckpointError, match=r"Expected 24 classes; .* has 3"):
        export_bundle(checkpoint, out=tmp_path / "b", settings=settings)


def test_a_checkpoint_need_not_have_a_name_in_utf_8(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"my\xff.pth")
    torch.save(load_checkpoint(checkpoint).network.state_dict(), path)
    made = export_bundle(path, out=tmp_path / "b", settings=ExportSettings(input_size=(64, 64)))
    assert made.manifest.name == "my"
    assert made.manifest.provenance.checkpoint == "my\ufffd.pth"


def test_a_class_is_named_once(checkpoint: Path, tmp_path: Path) -> None:
    settings = ExportSettings(classes=("a", "b", "a"))
    with pytest.raises(CheckpointError, match=r"each class name once; found a several times"):
        export_bundle(checkpoint, out=tmp_path / "b", settings=settings)
    assert list(tmp_path.iterdir()) == []


def said(loaded: Checkpoint, **strings: str) -> Checkpoint:
    return Checkpoint(loaded.network, loaded.spec, loaded.sha256, None, strings)


def test_defaults_of_a_checkpoint_that_says_nothing(checkpoint: Path) -> None:
    loaded = said(load_checkpoint(checkpoint))
    found = resolve(ExportSettings(), loaded, Path("x/model_last.pth"), OnnxExporter())
    assert found.name == "model_last"
    assert (found.input.height, found.input.width) == (256, 256)
    assert (found.input.mean, found.input.std) == (MEAN, STD)
    assert (found.cascade.kind, found.cascade.frame_gap) == ("ssim", 1)
    assert found.cascade.first_frame == "zero"
    assert found.classes == ("class0", "class1", "class2")
    assert (found.dcn, found.cascade.place, found.decode.place) == ("deform_conv", "host", "host")


def test_choices_come_before_what_the_checkpoint_says(checkpoint: Path) -> None:
    settings = ExportSettings(
        classes=("a", "b", "c"),
        input_size=(96, 64),
        cascade="ssim-shifted",
        frame_gap=3,
        first_frame="repeat",
        mean=(0, 0, 0),
        std=(1, 1, 1),
        name="other",
        top_k=5,
    )
    found = resolve(settings, load_checkpoint(checkpoint), checkpoint, OnnxExporter())
    assert found.classes == ("a", "b", "c")
    assert (found.input.height, found.input.width, found.input.mean) == (96, 64, (0, 0, 0))
    assert msgspec.to_builtins(found.cascade) | {} == {
        "kind": "ssim-shifted",
        "frame_gap": 3,
        "interval": 0.12,
        "first_frame": "repeat",
        "window": 7,
        "k1": 0.01,
        "k2": 0.03,
        "place": "host",
    }
    assert (found.name, found.decode.top_k) == ("other", 5)


@pytest.mark.parametrize(
    ("metadata", "own", "of_three_frames"),
    [
        ({}, 0.04, 0.12),  # 25 frames per second
        ({"interval": "0.02"}, 0.02, 0.06),
        ({"interval": "0.02", "frame_gap": "2"}, 0.02, 0.03),
        ({"frame_gap": "2"}, 0.08, 0.12),
    ],
)
def test_a_chosen_frame_gap_counts_at_the_rate_of_the_training(
    checkpoint: Path, metadata: dict[str, str], own: float, of_three_frames: float
) -> None:
    given = said(load_checkpoint(checkpoint), **metadata)

    def interval(settings: ExportSettings) -> float | None:
        return resolve(settings, given, checkpoint, OnnxExporter()).cascade.interval

    assert interval(ExportSettings()) == own
    assert interval(ExportSettings(frame_gap=3)) == pytest.approx(of_three_frames)
    assert interval(ExportSettings(frame_gap=3, interval=0.2)) == 0.2


@pytest.mark.parametrize(
    "strings",
    [
        {"classes": "walk"},
        {"classes": '["walk", 2, "run"]'},
        {"input_size": "[64]"},
        {"mean": '["a", "b", "c"]'},
        {"frame_gap": "1.5"},
        {"classes": '["walk"]'},
    ],
)
def test_metadata_that_cannot_be(checkpoint: Path, strings: dict[str, str]) -> None:
    given = said(load_checkpoint(checkpoint), **strings)
    with pytest.raises(CheckpointError, match=r"Expected"):
        resolve(ExportSettings(), given, checkpoint, OnnxExporter())


def test_default_place() -> None:
    assert bundle_path("m", "onnx", "fp16") == Path("artifacts/m-onnx-fp16")


def test_agreement_counts_each_partner_once() -> None:
    box = [0, 0, 10, 10]
    one = np.array([[*box, 0.9, 0], [*box, 0.8, 0], [*box, 0.7, 1], [20, 20, 30, 30, 0.6, 0]])
    other = np.array([[*box, 0.9, 0], [0, 0, 10, 10.4, 0.5, 1], [20, 20, 30, 31, 0.6, 0]])
    assert agreement(one, one) == 1
    assert agreement(one, other) == 0.5
    assert agreement(one, other[:0]) == 0
    assert agreement(one[:0], other) == 1
    flipped = one[:, [2, 3, 0, 1, 4, 5]]
    assert agreement(flipped, one) == 1
