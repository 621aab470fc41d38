"""Tests that devices with wrong detections cost no other device its result."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
from pathlib import Path

import msgspec
import pytest

from edgekit.bundle import Bundle, save_bundle
from edgekit.cli import main

OUTPUT = {"status": 0, "out": '{"schema": 1}', "errors": "", "program": "edgekit"}
HUGE = {"boxes": [[-1e308, 0, 1e308, 1e308]], "scores": [{"0": 1.0}]}
EMPTY = {"boxes": [], "scores": []}


def packed(**values: object) -> bytes:
    return gzip.compress(json.dumps({"classes": ["spot"], "videos": {}, **values}).encode())


def add_devices(
    folder: Path, monkeypatch: pytest.MonkeyPatch, detections: dict[str, bytes]
) -> None:
    """Puts a program ``ssh`` on the path that reaches devices with these detections."""
    for host, content in detections.items():
        answers = [[], "/bundle", [], "/videos", OUTPUT, len(content)]
        lines = [
            "edgekit-device 3.11",
            *(json.dumps({"done": each}) for each in ["ready", *answers]),
        ]
        (folder / host).write_bytes("".join(f"{line}\n" for line in lines).encode() + content)
    ssh = folder / "ssh"
    ssh.write_text(
        "#!/bin/sh\nwhile [ $1 != -- ]; do shift; done\n"
        f"cat '{folder}'/$2\nexec 1>&-\ncat >/dev/null\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_wrong_detections_of_a_device_are_named_and_the_others_scored(
    spotter: Bundle,
    spots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = tmp_path / "good.json.gz"
    words = ["eval", str(spotter.path), "--root", str(spots), "--threads", "1"]
    words += ["--results", str(tmp_path / "results")]
    assert main([*words, "--save-detections", str(good)]) == 0
    capsys.readouterr()
    wrong = {
        "cut": good.read_bytes()[:-20],
        "text": b"\x1b[2J",
        "other": packed(classes=3),
        "none": packed(videos={"v": {"frames": 2, "detections": [EMPTY]}}),
        "nothing": b"",
        "empty": packed(),
        "huge": packed(videos={"v": {"frames": 1, "detections": [HUGE]}}),
    }
    add_devices(tmp_path, monkeypatch, {**wrong, "good": good.read_bytes()})
    for host in (*wrong, "good"):
        words += ["--host", host]
    assert main([*words, "--json"]) == 3
    shown = json.loads(capsys.readouterr().out)
    assert shown["hosts"]["good"]["frame_map"] == shown["frame_map"]
    for host in wrong:
        said = shown["hosts"][host]["error"]
        assert said.startswith(f"{host} sent detections that cannot be scored. ")
    assert "There is no result from 7 of 8 devices: " in shown["error"]["message"]
    assert main(words) == 3
    assert "\x1b" not in capsys.readouterr().out


@pytest.fixture
def elsewhere(spotter: Bundle, tmp_path: Path) -> Path:
    """The spotter's bundle for a target whose runtime is not here."""
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("TensorRT is here")
    manifest = msgspec.structs.replace(spotter.manifest, target="jetson")
    files = {manifest.model: spotter.path / manifest.model}
    return save_bundle(tmp_path / "jetson", manifest, files).path


def test_a_bundle_that_does_not_run_here_is_evaluated_on_devices_alone(
    spotter: Bundle,
    elsewhere: Path,
    spots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good, report = tmp_path / "good.json.gz", tmp_path / "report.json"
    words = ["eval", str(spotter.path), "--root", str(spots), "--threads", "1", "--json"]
    assert main([*words, "--save-detections", str(good)]) == 0
    here = json.loads(capsys.readouterr().out)
    add_devices(tmp_path, monkeypatch, {"bad": b"", "good": good.read_bytes()})
    words = ["eval", str(elsewhere), "--root", str(spots), "--host", "bad", "--host", "good"]
    assert main([*words, "--json", "--report", str(report)]) == 3
    shown = json.loads(capsys.readouterr().out)
    assert shown["device"] == "good"
    for each in (shown, shown["hosts"]["good"]):
        assert each["frame_map"] == here["frame_map"]
        assert each["video_map"] == here["video_map"]
    assert "There is no result from 1 of 2 devices: bad." in shown["error"]["message"]
    assert json.loads(report.read_text())["frame_map"] == here["frame_map"]
    assert main(words) == 3
    out = capsys.readouterr().out
    assert "48 frames, linked by edgekit, detected by good." in out
    assert "this machine" not in out
    assert "Only the devices run" in caplog.text


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ([], 3, "There is no result of"),
        (["--save-detections", "new.json"], 2, "saves the detections of this machine"),
        (["--runtime", "ncnn"], 2, "for the target jetson"),
    ],
)
def test_a_bundle_that_runs_nowhere(
    elsewhere: Path,
    spots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    add_devices(tmp_path, monkeypatch, {"bad": b""})
    words = ["eval", str(elsewhere), "--root", str(spots), "--host", "bad"]
    assert main([*words, *more]) == status
    assert said in " ".join(capsys.readouterr().err.split())
    assert not Path("new.json").exists()
