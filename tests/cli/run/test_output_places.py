"""Tests that commands check output places first, and create no unasked folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest

from edgekit.cli import COMMANDS, cli
from edgekit.cli import main as run

OUTPUTS = [
    ["run", "--events"],
    ["run", "--video"],
    ["run", "--picture"],
    ["run", "--clips"],
    ["run", "--save-detections"],
    ["run", "--mqtt-buffer"],
    ["run", "--cache"],
    ["eval", "--save-detections"],
    ["eval", "--cache"],
    ["eval", "--clips"],
    ["eval", "--report"],
    ["eval", "--results"],
    ["bench", "--csv"],
    ["bench", "--markdown"],
    ["bench", "--html"],
    ["bench", "--history"],
    ["quantize", "--calib", "--sheet"],
    ["quantize", "--calib", "--html"],
    ["quantize", "--calib", "--cache"],
    ["quantize", "--calib", "--out"],
    ["export", "--out"],
    ["train", "--root", ".", "--out"],
    ["train", "--root", ".", "--frame-store"],
    ["train", "--root", ".", "--logdir"],
    ["dataset", "inspect", ".", "--sheet"],
    ["dataset", "convert", ".", "--out"],
    ["dataset", "split", ".", "--out"],
    ["demo", "--out"],
    ["build", "bundle", "--cache"],
]


@pytest.mark.parametrize("words", OUTPUTS, ids=lambda words: f"{words[0]} {words[-1]}")
def test_a_folder_that_is_missing_is_named_and_not_made(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([*words, "new/deep/x"]) == 3
    printed = capsys.readouterr()
    assert printed.err == (
        "Error: Cannot write new/deep/x: there is no folder new/deep.\nRun: mkdir -p new/deep\n"
    )
    assert not list(tmp_path.iterdir())
    assert run([*words, f"./{'a' * 300}"]) == 3
    assert "Give it a shorter name." in capsys.readouterr().err


def test_every_option_that_writes_is_among_them() -> None:
    found = set()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        inner = command.commands.values() if isinstance(command, click.Group) else (command,)
        for option in (option for one in inner for option in one.params):
            if "OutputPath" in type(option.type).__name__:
                found.add((name, max(option.opts, key=len)))
    assert found == {(words[0], words[-1]) for words in OUTPUTS}


@pytest.mark.parametrize("option", ["--video", "--save-detections", "--picture"])
def test_a_named_pipe_is_not_replaced(option, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.mp4")
    arguments = ["run", "--source", "nothere.mp4", option, str(tmp_path / "pipe.mp4")]
    assert run(arguments) == 3
    assert "pipe.mp4: it is a device, a named pipe or a socket" in capsys.readouterr().err
    assert (tmp_path / "pipe.mp4").is_fifo()
