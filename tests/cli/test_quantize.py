from __future__ import annotations

import json

import pytest

from edgekit.assets import default_bundle
from edgekit.bundle import load_bundle
from edgekit.cli import main
from edgekit.puppets.dataset import write_dataset


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage") / "clips"
    write_dataset(folder, (161,), frames=40)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def run(*arguments):
    return main(["quantize", *map(str, arguments)])


def test_a_bundle_of_integers_and_its_report(footage, cache, tmp_path, capsys, caplog):
    out, sheet, page = tmp_path / "int8", tmp_path / "sheet.png", tmp_path / "page.html"
    arguments = (
        default_bundle(precision="fp32"),
        "--calib",
        footage,
        "--annotations",
        footage,
        "-o",
        out,
    )
    arguments += ("--samples", 6, "--max-drop", 30, "--cache", cache, "--sheet", sheet, "--json")
    arguments += ("--html", page)
    assert run(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert load_bundle(out).manifest.precision == "int8"
    assert found["bundle"] == str(out)
    assert found["int8_bytes"] < 0.3 * found["float_bytes"]
    (row,) = found["latency"]
    assert (row["runtime"], row["arithmetic"], row["threads"]) == ("onnxruntime", "fp32", 1)
    assert row["ratio"] == pytest.approx(row["int8_ms"] / row["float_ms"])
    assert found["check"]["annotated"]
    assert len(found["video_map"]) == 2
    assert sheet.stat().st_size > 10_000
    assert "Float against INT8: korsal-lite0-ucf24" in page.read_text()
    assert "Only 6 frames to calibrate with" in caplog.text
    assert main(["inspect", str(out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "int8, mse on 6 samples" in shown
    assert "of the detections agree" in shown


def test_the_report_for_people(footage, cache, tmp_path, capsys):
    out = tmp_path / "int8"
    arguments = ("--calib", footage, "-o", out, "--samples", 6, "--max-drop", 30, "--cache", cache)
    assert run(*arguments) == 0
    text = capsys.readouterr().out
    assert "size" in text
    assert "of float's own" in text
    assert str(out) in text.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "nothing to calibrate with"),
        (("--calib", "nowhere"), 3, "there is none"),
        (("nowhere", "--calib"), 3, "is not a bundle"),
        (("x", "--calib", "--target", "tflite"), 2, "Leave one of them out"),
        (("--calib", "--method", "magic"), 2, "Invalid value"),
        (("--calib", "--samples", "1"), 2, "Invalid value"),
    ],
)
def test_wrong_requests_end_with_a_message(arguments, status, words, cache, capsys):
    assert run(*arguments, "--cache", cache) == status
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_what_is_there_is_kept_without_force(footage, cache, tmp_path, capsys):
    (tmp_path / "there").mkdir()
    assert run("--calib", footage, "-o", tmp_path / "there", "--cache", cache) == 3
    assert "--force" in capsys.readouterr().err
