"""Tests that ``--json`` prints JSON even if file names contain any bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from edgekit.cli.output.outcome import Failure, Outcome


def test_names_that_are_not_utf_8_are_printed_as_unicode(capsys):
    name = os.fsdecode(b"n\xff.mp4")
    failure = Failure("media", f"There is no file {name}.", f"Run: ls {name}", 3)
    Outcome({"files": [(name,)], name: 1}).print(failure)
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == [["n\ufffd.mp4"]]
    assert found["n\ufffd.mp4"] == 1
    assert found["error"]["message"] == "There is no file n\ufffd.mp4."


def test_a_source_whose_name_is_not_utf_8_and_that_is_not_there_is_one_error():
    command = [sys.executable, "-m", "edgekit", "run", "--bundle", "shipped", "--json", "--source"]
    done = subprocess.run([*command, b"n\xff.mp4"], capture_output=True)
    assert done.returncode == 3
    assert "no file or folder n\ufffd.mp4" in json.loads(done.stdout)["error"]["message"]
    assert b"Traceback" not in done.stderr


def test_a_current_folder_that_is_gone_is_named(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    words = [sys.executable, "-m", "edgekit", "run", "--bundle", "shipped", "--source", "x.mp4"]
    shell = ["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(folder), *words]
    done = subprocess.run([*shell, "--events", "e.jsonl"], capture_output=True, text=True)
    assert done.returncode == 3
    assert "The current folder no longer exists" in done.stderr
