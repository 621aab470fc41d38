"""Tests benchmarks and evaluations on a device that is reached over SSH."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from edgekit.bundle import load_bundle
from edgekit.cli import main


@pytest.fixture
def dataset(tmp_path, spot_video):
    """Three videos of a spot, with its boxes."""
    root = tmp_path / "clips"
    root.mkdir()
    videos = {}
    for number in range(3):
        spot_video(12).rename(root / f"{number}.mp4")
        boxes = [[22 + at, 40, 38 + at, 56] for at in range(12)]
        tube = {"label": 0, "start": 0, "end": 12, "boxes": boxes}
        videos[f"{number}.mp4"] = {"width": 128, "height": 96, "frames": 12, "tubes": [tube]}
    content = {"classes": ["spot", "nothing"], "videos": videos}
    (root / "annotations.json").write_text(json.dumps(content))
    return root


def test_rows_of_a_device_stand_beside_those_of_this_machine(
    deployed, workstation, spot_bundle, spot_video, tmp_path, capsys
):
    workstation.add("absent", 1, "")
    table, page = tmp_path / "rows.csv", tmp_path / "page.html"
    words = ["bench", str(spot_bundle), "--source", str(spot_video(40)), "--frames", "10"]
    words += ["--rounds", "1", "--threads", "1", "--host", "device-a", "--host", "absent"]
    assert main([*words, "--json", "--csv", str(table), "--html", str(page)]) == 3
    shown = json.loads(capsys.readouterr().out)
    here, there = shown["rows"]
    assert "host" not in here
    assert there["host"] == "device-a"
    assert here["bundle"] == there["bundle"] == spot_bundle.name
    assert here["sha256"] == there["sha256"] == load_bundle(spot_bundle).sha256
    assert there["result"]["overall"]["p50"] > 0
    device, absent = shown["devices"]
    assert (device["host"], device["error"]) == ("device-a", "")
    assert device["machine"]["architecture"] == shown["machine"]["architecture"]
    assert "Expected an SSH server on absent" in absent["error"]
    assert shown["error"]["message"] == "1 of 2 devices measured nothing: absent."
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert [line["host"] for line in lines] == ["", "device-a"]
    assert "device-a" in page.read_text()


def test_a_bundle_that_runs_on_the_device_only(
    deployed, workstation, spot_bundle, spot_video, tmp_path, capsys, monkeypatch
):
    # The processes that measure here get the module path of this one, and the device does not.
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('it is for another machine')")
    monkeypatch.syspath_prepend(tmp_path)
    page = tmp_path / "page.html"
    words = ["bench", str(spot_bundle), "--source", str(spot_video(40)), "--frames", "10"]
    words += ["--rounds", "1", "--threads", "1", "--html", str(page), "--host", "device-a"]
    assert main([*words, "--json"]) == 0
    here, there = json.loads(capsys.readouterr().out)["rows"]
    assert here["error"]["code"] == "missing_dependency"
    assert here["result"] is None
    assert there["host"] == "device-a"
    assert there["result"]["overall"]["p50"] > 0
    assert "device-a" in page.read_text()
    workstation.add("absent", 1, "")
    assert main([*words[:-1], "absent"]) == 3
    shown = capsys.readouterr()
    assert (
        "this machine: Running this bundle needs the package that provides 'onnxruntime'"
        in shown.err
    )
    assert "absent: Expected an SSH server on absent" in shown.err


def test_rows_without_devices_are_as_before(workstation, spot_bundle, spot_video, capsys):
    words = ["bench", str(spot_bundle), "--source", str(spot_video(40)), "--frames", "10"]
    assert main([*words, "--rounds", "1", "--threads", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert "devices" not in shown
    assert "host" not in shown["rows"][0]


def test_a_device_is_as_accurate_as_this_machine(
    deployed, workstation, spot_bundle, dataset, capsys
):
    workstation.add("absent", 1, "")
    words = ["eval", str(spot_bundle), "--root", str(dataset), "--threads", "1"]
    assert main([*words, "--host", "device-a", "--host", "absent", "--json"]) == 3
    shown = json.loads(capsys.readouterr().out)
    there = shown["hosts"]["device-a"]
    assert there["frame_map"] == shown["frame_map"]
    assert there["video_map"] == shown["video_map"]
    assert there["frames"] == shown["frames"]
    assert np.isfinite(there["frame_map"]["0.5"])
    assert "Expected an SSH server on absent" in shown["hosts"]["absent"]["error"]
    assert main([*words, "--host", "device-a"]) == 0
    assert "this machine" in capsys.readouterr().out


def test_a_device_without_edgekit_says_so(start_device, spot_bundle, spot_video, capsys):
    start_device("device-a")
    words = ["bench", str(spot_bundle), "--source", str(spot_video(40)), "--frames", "10"]
    assert main([*words, "--rounds", "1", "--threads", "1", "--host", "device-a"]) == 3
    assert "Expected EdgeKit on the device; found none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "--host", "-x"], "Expected --host to be a name for ssh; found '-x'"),
        (["bench", "--host", "a", "--host", "a"], "Expected each --host once; a was given twice"),
        (["bench", "--host", "a", "--tune"], "--host and --tune cannot be used together"),
        (["bench", "--host", "a", "--operators"], "--host and --operators cannot be used"),
        (["eval", "--root", ".", "--host", "-x"], "Expected --host to be a name for ssh"),
        (["eval", "--root", ".", "--host", "a", "--host", "a"], "Expected each --host once"),
        (["eval", "--detections", "x", "--host", "a"], "--detections and --host cannot be used"),
    ],
)
def test_wrong_usage(words, said, capsys):
    assert main(words) == 2
    assert said in capsys.readouterr().err
