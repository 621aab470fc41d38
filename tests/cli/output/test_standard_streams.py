"""Tests closed and full standard streams, and a terminal closed during a run."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import LIMIT


def edgekit(words: list[Any], redirected: str, **options: Any) -> tuple[int, bytes]:
    """Exit status and standard error of a command line in a shell."""
    program = [sys.executable, "-m", "edgekit", *map(str, words)]
    shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", *program]
    done = subprocess.run(shell, stderr=subprocess.PIPE, timeout=LIMIT, check=False, **options)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words", ["--help", "run --help", "--version", "doctor", "inspect shipped"]
)
def test_a_command_that_cannot_print_says_so(words: str) -> None:
    status, said = edgekit(words.split(), ">&-")
    assert (status, said.count(b"but standard output is closed")) == (3, 1)
    status, said = edgekit(words.split(), "> /dev/full")
    assert (status, said.count(b"Cannot write standard output: No space left")) == (3, 1)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_names_in_scripts_that_the_terminal_lacks(encoding: str, tmp_path: Path) -> None:
    name, path = "跑 步 🏃 für", tmp_path / "found.json"
    tube = {"label": 0, "start": 0, "end": 9, "boxes_xywh_1based": [[11, 11, 50, 80]] * 9}
    frame = {"boxes": [[10, 10, 60, 90]], "scores": [{"0": 0.9}]}
    video = {"frames": 9, "gt": [tube], "detections": [frame] * 9}
    path.write_text(json.dumps({"classes": [name], "videos": {"v": video}}))
    words = [sys.executable, "-m", "edgekit", "eval", "--detections", str(path)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([*words, "--json"], env=environment, capture_output=True, check=True)
    assert [*json.loads(done.stdout)["per_class"]] == [name]
    done = subprocess.run(words, env=environment, capture_output=True, check=True)
    assert done.stderr == b""
    shown = done.stdout.decode(encoding).encode("ascii", "backslashreplace").decode()
    assert "\\u8dd1 \\u6b65" in shown


@pytest.mark.parametrize("more", [["--json"], ["--events", "-"], []])
def test_a_run_that_cannot_print_says_so(
    more: list[str], spot_bundle: Path, spot_video: Callable[[int], Path]
) -> None:
    words = ["run", "--bundle", spot_bundle, "--source", spot_video(5), *more]
    status, said = edgekit(words, ">&-")
    assert (status, said.count(b"but standard output is closed")) == (3, 1)
    status, said = edgekit(words, "> /dev/full")
    assert (status, said.count(b"Cannot write standard output: No space left")) == (3, 1)


def test_a_run_without_standard_error_prints_its_results(
    spot_bundle: Path, spot_video: Callable[[int], Path], tmp_path: Path
) -> None:
    words = ["run", "--bundle", spot_bundle, "--source", spot_video(5), "--json"]
    events, printed = tmp_path / "events.jsonl", tmp_path / "printed"
    for redirected in ("2>&-", "2> /dev/full", "2>&- <&-"):
        with printed.open("wb") as file:
            status, _ = edgekit([*words, "--events", events], redirected, stdout=file)
        assert status == 0
        assert json.loads(printed.read_bytes())["frames"] == 5
        assert events.read_bytes().count(b'"type":"frame"') == 5
    assert edgekit(["run", "--source", "nothere.mp4"], "2>&-")[0] == 3
    assert edgekit(["--help"], ">&- 2>&-")[0] == 3


def test_frames_on_a_closed_standard_input(spot_bundle: Path) -> None:
    status, said = edgekit(["run", "--bundle", spot_bundle, "--source", "-"], "<&-")
    assert (status, said.count(b"Standard input is closed")) == (3, 1)


class Terminal:
    """A run in a terminal of its own, which can be closed."""

    def __init__(self, words: list[Any], events: Path, before: str = "") -> None:
        self.events = events
        program = [sys.executable, "-m", "edgekit", "run", *map(str, words), "--events", events]
        # These tests may themselves run under nohup.
        heard = ["env", "--default-signal=HUP"]
        shell = [
            *heard,
            "setsid",
            "--ctty",
            "sh",
            "-c",
            f'{before} exec "$@"',
            "sh",
            *map(str, program),
        ]
        self.end, there = pty.openpty()
        self.process = subprocess.Popen(shell, stdin=there, stdout=there, stderr=there)
        os.close(there)

    def read_until(self, lines: int) -> bytes:
        """What it says until there are some lines of events."""
        said, limit = b"", time.monotonic() + LIMIT
        while not self.events.exists() or self.events.read_bytes().count(b"\n") < lines:
            assert time.monotonic() < limit, said
            if select.select([self.end], [], [], 0.05)[0]:
                said += os.read(self.end, 4096)
        return said

    def status(self) -> int:
        return self.process.wait(LIMIT)

    def frames(self) -> list[int]:
        """Indices of the frames; the last line has to be the end."""
        lines = [json.loads(line) for line in self.events.read_bytes().splitlines()]
        assert lines[-1]["type"] == "end"
        frames = [line["index"] for line in lines if line["type"] == "frame"]
        assert lines[-1]["frames"] == len(frames)
        return frames


def test_a_terminal_that_is_closed_ends_the_run_in_order(
    spot_bundle: Path, spot_video: Callable[[int], Path], tmp_path: Path
) -> None:
    words = ["--bundle", spot_bundle, "--source", spot_video(6000), "--realtime"]
    run = Terminal(words, tmp_path / "e.jsonl")
    assert b"FPS" in run.read_until(40)
    os.close(run.end)
    assert run.status() == 130
    assert run.frames() == list(range(len(run.frames())))


def test_a_run_that_ignores_hangups_outlives_its_terminal(
    spot_bundle: Path, spot_video: Callable[[int], Path], tmp_path: Path
) -> None:
    words = ["--bundle", spot_bundle, "--source", spot_video(150), "--realtime"]
    run = Terminal(words, tmp_path / "e.jsonl", "trap '' HUP;")
    run.read_until(10)
    os.close(run.end)
    assert run.status() == 0
    assert run.frames() == list(range(150))


def test_a_hangup_with_the_terminal_there_reads_the_thresholds_again(
    spot_bundle: Path, spot_video: Callable[[int], Path], tmp_path: Path
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("score = 0.3\n")
    words = ["--bundle", spot_bundle, "--source", spot_video(6000), "--realtime"]
    run = Terminal([*words, "--config", config], tmp_path / "e.jsonl")
    run.read_until(10)
    run.process.send_signal(signal.SIGHUP)
    said = run.read_until(60)
    assert b"A tube counts if its score is at least 0.3" in said
    os.close(run.end)
    assert run.status() == 130


def test_json_stands_alone_whatever_a_runtime_prints():
    code = (
        "import ctypes, os, sys\n"
        "import edgekit.bundle\n"
        "from edgekit.cli import program\n"
        "load = edgekit.bundle.load_bundle\n"
        "def noisy(path):\n"
        "    print('python'); os.write(1, b'system'); ctypes.CDLL(None).printf(b'library')\n"
        "    return load(path)\n"
        "edgekit.bundle.load_bundle = noisy\n"
        "sys.argv = ['edgekit', 'inspect', 'shipped', '--json']\n"
        "program()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["manifest"]["schema"] == 1
    for words in (b"python", b"system", b"library"):
        assert words in done.stderr
