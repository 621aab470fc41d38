"""Tests what is made of the answers of devices that are not what they seem."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main
from edgekit.deploy.deploy import Hosts
from edgekit.deploy.ssh import DeviceConnection

SERVICE = {
    "name": "cam", "number": 3, "bundle": "b", "sha256": "0" * 64, "edgekit": "1", "created": 1,
    "level": "ok", "rate": 5.0, "words": "fine", "trial": False,
}  # fmt: skip


def status(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, *words: str) -> int:
    """Asks a device for its status that gives one answer to everything."""
    said = f'edgekit-device 3.11\n{{"done": null}}\n{json.dumps({"done": answer})}\n'
    (folder / "said").write_text(said)
    ssh = folder / "ssh"
    ssh.write_text(f"#!/bin/sh\ncat '{folder}/said'\nexec 1>&-\ncat >/dev/null\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return main(["deploy", "--status", "device", *words])


@pytest.mark.parametrize(
    "answer",
    [
        None, 3, "text", {}, [3], [{}], [{**SERVICE, "rate": "fast"}], [{**SERVICE, "words": {}}],
        [{**SERVICE, "number": [1]}], [{**SERVICE, "created": 10**18}], [{**SERVICE, "trial": 9}],
        [{**SERVICE, "rate": float("nan")}], [{**SERVICE, "created": -1}], [SERVICE, None],
    ],
)  # fmt: skip
def test_other_values_than_a_status_are_a_fault_of_the_device(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Any,
) -> None:
    assert status(tmp_path, monkeypatch, answer) == 3
    shown = capsys.readouterr()
    assert "1 of 1 devices failed: device." in shown.err
    assert "Traceback" not in shown.out + shown.err


def test_words_of_a_device_do_not_control_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(tmp_path, monkeypatch, [{**SERVICE, "words": "\x1b[2J\x07"}]) == 0
    assert "\\x1b" in capsys.readouterr().out


def test_halves_of_characters_are_no_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = [{**SERVICE, "words": "a\ud800z"}]
    assert status(tmp_path, monkeypatch, answer, "--json") == 0
    assert json.loads(capsys.readouterr().out)["hosts"][0]["state"] == "a\ufffdz"
    assert status(tmp_path, monkeypatch, answer) == 0


def test_a_fault_of_this_machine_is_not_blamed_on_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(connection: DeviceConnection) -> None:
        raise TypeError("ours")

    assert status(tmp_path, monkeypatch, []) == 0
    with pytest.raises(TypeError, match="ours"):
        Hosts(["device"]).map(work)
