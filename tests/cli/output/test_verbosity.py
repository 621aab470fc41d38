"""Tests ``-v``, which prints more, and ``-q``, which prints only errors and the result."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from edgekit import cli
from edgekit.cli import main


@pytest.fixture
def words(spotter, spots, tiny, tmp_path):
    """A command line of each command that ends well in no time; its outputs are always new."""
    ground = ("--calib", spots, "--samples", 6, "--max-drop", 100, "--cache", tmp_path / "cache")
    small = ("--epochs", 1, "--images", 4, "--batch", 2, "--input-size", 64, "--from", "scratch")
    small += ("--workers", 0)

    def make(name, place):
        return {
            "export": (tiny, "-o", place),
            "quantize": (spotter.path, *ground, "-o", place),
            "run": (spots / "spot0.avi", "--max-frames", 3, "--events", place),
            "bench": (spotter.path, "--frames", 10, "--rounds", 1, "--source", spots / "spot0.avi"),
            "eval": (spotter.path, "--root", spots),
            "train": ("--root", spots, *small, "-o", place),
            "inspect": (),
            "dataset": ("inspect", spots),
            "cache": ("info", "--cache", spots),
            "doctor": (),
        }[name]

    return lambda name, place: [name, *map(str, make(name, place))]


OTHERS = ("demo", "build", "deploy", "fleet", "sign")
"""Commands whose own tests show what they say."""


@pytest.mark.parametrize("name", [name for name in cli.COMMANDS if name not in OTHERS])
def test_more_and_fewer_words(name, words, tmp_path, capsys, caplog):
    said = {}
    for number, option in enumerate(("-q", None, "-v")):
        caplog.clear()
        line = words(name, tmp_path / f"out{number}")
        assert main([*line, *filter(None, [option])]) == 0
        shown = capsys.readouterr()
        ours = [r.getMessage() for r in caplog.records if r.name.startswith("edgekit")]
        said[option] = "\n".join([*ours, shown.err]).strip()
        assert shown.out, "the result is printed always"
    assert said["-q"] == ""
    assert len(said["-v"]) > len(said[None])


def test_demo_and_build_say_more_too(tmp_path, capsys, caplog, spotter, monkeypatch):
    monkeypatch.setattr("edgekit.demo._FRAMES", 40)
    assert main(["demo", "-o", str(tmp_path / "demo"), "-v"]) == 0
    assert "Rendering a clip" in caplog.text
    assert "Running" in caplog.text
    caplog.clear()
    assert main(["build", str(spotter.path), "-v"]) == 2
    assert "Read" in caplog.text


def test_errors_are_printed_when_quiet(tmp_path, capsys, caplog):
    assert main(["run", str(tmp_path / "nothere.mp4"), "-q"]) == 3
    shown = capsys.readouterr()
    assert shown.err.startswith("Error: ")
    assert caplog.text == ""


def test_not_both(capsys):
    assert main(["doctor", "-v", "-q"]) == 2
    assert "Leave one of them out" in capsys.readouterr().err


def _on_a_terminal(*words) -> str:
    """What a command writes to standard error, which is a terminal."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-m", "edgekit", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=environment)
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not part:
            break
        said += part
    os.close(leader)
    assert process.wait() == 0
    return said.decode()


def test_bars_have_totals_and_are_for_terminals_alone(spotter, spots, tmp_path):
    words = ("eval", spotter.path, "--root", spots, "--results")
    assert "2/2" in _on_a_terminal(*words, tmp_path / "shown")
    assert _on_a_terminal(*words, tmp_path / "quiet", "-q") == ""
    command = [sys.executable, "-m", "edgekit", *map(str, words), str(tmp_path / "piped")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""


def test_the_status_line_has_totals(spotter, spots):
    clips = (spots / "spot0.avi", spots / "spot1.avi")
    words = ("run", "--bundle", spotter.path, "--realtime")
    assert "/24 " in _on_a_terminal(*words, clips[0])
    assert "/48 frames" in _on_a_terminal(*words, *clips)
    assert _on_a_terminal(*words, *clips, "-q") == ""
