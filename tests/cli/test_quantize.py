from __future__ import annotations

import json
import shutil
import sys
from importlib import metadata

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekit.assets import default_bundle
from edgekit.bundle import Quantization, load_bundle, save_bundle
from edgekit.cli import main
from edgekit.system.installation import install_line


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(*arguments):
    return main(["quantize", *map(str, arguments)])


def test_a_bundle_of_integers_and_its_report(spotter, spots, cache, tmp_path, capsys, caplog):
    out, sheet, page = tmp_path / "int8", tmp_path / "sheet.png", tmp_path / "page.html"
    arguments = (spotter.path, "--calib", spots, "--annotations", spots, "-o", out)
    arguments += ("--samples", 6, "--max-drop", 30, "--cache", cache, "--sheet", sheet, "--json")
    arguments += ("--html", page)
    assert run(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert load_bundle(out).manifest.precision == "int8"
    assert found["bundle"] == str(out)
    assert (found["int8_bytes"], found["float_bytes"]) == (load_bundle(out).size, spotter.size)
    (row,) = found["latency"]
    assert (row["runtime"], row["arithmetic"], row["threads"]) == ("onnxruntime", "fp32", 1)
    assert row["ratio"] == pytest.approx(row["int8_ms"] / row["float_ms"])
    assert found["check"]["annotated"]
    tubes = found["tubes"]
    assert found["video_map"] == [tubes["float_map"], tubes["video_map"]]
    assert tubes["annotated"]
    assert json.loads((out / "manifest.json").read_text())["quantization"]["tubes"] == tubes
    assert sheet.stat().st_size > 10_000
    assert "Float against INT8: spotter" in page.read_text()
    assert "only 6 frames for calibration" in caplog.text
    assert main(["inspect", str(out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "int8, mse on 6 samples" in shown
    assert "agreement of detections" in shown


def test_the_report_for_people(spotter, spots, cache, tmp_path, capsys):
    out = tmp_path / "int8"
    arguments = (spotter.path, "--calib", spots, "-o", out, "--samples", 6, "--cache", cache)
    assert run(*arguments) == 0
    text = capsys.readouterr().out
    assert "size" in text
    assert "of float's own" in text
    assert str(out) in text.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "No calibration footage was given"),
        (("--calib", "nowhere"), 3, "there is none"),
        (("--calib", default_bundle()), 2, "Name the bundle first: edgekit quantize "),
        (("nowhere", "--calib"), 3, "is not a bundle"),
        (("--calib", "--annotations", "nowhere"), 3, "Cannot read the annotations"),
        (("x", "--calib", "--target", "tflite"), 2, "Leave one of them out"),
        (("--calib", "--method", "magic"), 2, "Invalid value"),
        (("--calib", "--samples", "1"), 2, "Invalid value"),
        (("--calib", "--max-drop", "nan"), 2, "not a finite number"),
        (("--calib", "-o", "/proc/self/status/x"), 3, "Cannot write"),
    ],
)
def test_wrong_requests_end_with_a_message(arguments, status, words, cache, capsys):
    assert run(*arguments, "--cache", cache) == status
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err


@pytest.fixture
def refused(spotter, spots, cache, tmp_path, capsys):
    """Runs a command that writes nothing; returns what it says."""

    def check(*arguments, bundle=spotter.path, calib=spots, status=3):
        out = tmp_path / "never"
        options = ("--calib", calib, *arguments, "-o", out, "--cache", cache)
        assert run(bundle, *options) == status
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert captured.out == ""
        assert not list(tmp_path.glob("*never*"))
        return " ".join(captured.err.split())

    return check


def pictures(folder, images):
    folder.mkdir()
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    return folder


def test_footage_that_is_of_no_use(refused, spotter, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    (tmp_path / "empty").mkdir()
    assert "No videos or pictures were found in" in refused(calib=tmp_path / "empty")
    for name, images in (("one", [noise]), ("black", [np.zeros_like(noise)] * 9)):
        said = refused(calib=pictures(tmp_path / name, images))
        assert "no two consecutive frames" in said
        assert "--cascade rgb" in said
    fades = [np.full_like(noise, 9 * level) for level in range(9)]
    assert "has a single colour" in refused(calib=pictures(tmp_path / "fades", fades))
    few = pictures(tmp_path / "few", [noise, noise[::-1], noise])
    assert "found 3 in all. Name more footage" in refused(calib=few)
    assert "INT8 already" in refused(bundle=_int8(spotter, tmp_path / "int8").path)


def _int8(bundle, place):
    manifest = msgspec.structs.replace(
        bundle.manifest, precision="int8", quantization=Quantization(method="minmax", samples=1)
    )
    return save_bundle(place, manifest, {"model.onnx": bundle.model_path})


def test_footage_of_another_size_and_in_part_unreadable(spotter, cache, tmp_path, capsys, caplog):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (40, 90, 3), dtype=np.uint8) for _ in range(20)]
    for number, image in enumerate(images):
        cv2.circle(image, (20 + 2 * number, 20), 9, (255, 255, 255), cv2.FILLED)
    folder = pictures(tmp_path / "wide", images)
    (folder / "07.png").write_bytes(b"no picture")
    (folder / "clip.mp4").write_bytes(b"no video")
    arguments = ("--calib", folder, "-o", tmp_path / "out", "--cache", cache, "--max-drop", 100)
    assert run(spotter.path, *arguments) == 0
    assert "Skipped" in caplog.text
    assert "07.png" in caplog.text
    assert "1 of 20 pictures were skipped" in caplog.text
    assert "clip.mp4" in caplog.text
    assert "1 of 2 videos or folders were skipped" in caplog.text
    assert "32 or more are recommended" in caplog.text


def test_a_layer_that_overflows_is_named(refused, spotter, tmp_path):
    model = onnx.load(str(spotter.model_path))
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "body.b")
    bias.CopyFrom(numpy_helper.from_array(np.array([0, np.nan, 0, 0], np.float32), "body.b"))
    onnx.save(model, str(tmp_path / "nan.onnx"))
    bundle = save_bundle(tmp_path / "nan", spotter.manifest, {"model.onnx": tmp_path / "nan.onnx"})
    assert "body/Conv gives NaN on sample 0" in refused(bundle=bundle.path)


def test_annotations_without_tubes_are_refused(refused, spots, tmp_path):
    text = (spots / "annotations.json").read_text()
    whole = json.loads(text)
    bare = {name: {**video, "tubes": []} for name, video in whole["videos"].items()}
    for name, changes, words in (
        ("other", {"classes": ["goat", "cow"]}, "does not know: goat. It knows: spot, nothing."),
        ("bare", {"videos": bare}, "shows an annotated action. Annotate more"),
        ("none", {"videos": {}}, "None of the 0 frames left"),
    ):
        shutil.copytree(spots, tmp_path / name)
        (tmp_path / name / "annotations.json").write_text(json.dumps({**whole, **changes}))
        assert words in refused("--annotations", tmp_path / name)


def test_a_quantizer_that_is_not_installed(refused, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = refused(status=4)
    assert "pip install" in said
    assert install_line("host") in said


def test_a_page_that_cannot_be_written_is_said_in_time(refused, tmp_path):
    (tmp_path / "file").touch()
    assert "Cannot write" in refused("--html", tmp_path / "file" / "page.html")


def test_a_sheet_that_is_no_picture_is_said_in_time(refused, tmp_path):
    assert "does not end in the extension of a picture" in refused("--sheet", tmp_path / "s.txt")


def test_what_is_there_is_kept_without_force(footage, cache, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    assert run("--calib", footage, "-o", tmp_path / "there", "--cache", cache) == 3
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_the_float_bundle_is_not_replaced(spotter, footage, cache, tmp_path, capsys, force):
    own = tmp_path / "float"
    shutil.copytree(spotter.path, own)
    (tmp_path / "link").symlink_to(own)
    options = ("--calib", footage, "--cache", cache, *force)
    assert run(own, *options, "-o", tmp_path / "link") == 3
    assert f"does not replace {tmp_path / 'link'}: it reads {own}." in capsys.readouterr().err
    assert load_bundle(own).sha256 == spotter.sha256
