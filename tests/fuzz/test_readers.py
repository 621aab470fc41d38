"""Fuzzes each reader for a short time; CONTRIBUTING.md has the command for hours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")

SCRIPT = Path(__file__).with_name("readers.py")
RUNS = 500


TARGETS = (
    "manifest",
    "manifest-values",
    "signature",
    "public-keys",
    "annotations",
    "annotation-values",
    "detections",
    "detection-values",
    "packed-detections",
    "pickle",
    "mat",
    "moc",
    "ava",
    "cvat",
    "coco-video",
    "label-studio",
    "datumaro",
    "report",
    "options",
    "weights",
    "page",
)


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_our_own_errors(target, tmp_path):
    # The fuzzer measures the peak memory of its process, which begins with that of its parent: the
    # shell is small, and this process may not be.
    small_parent = ["sh", "-c", '"$@"; exit $?', "sh"]
    command = [*small_parent, sys.executable, SCRIPT, target, f"-runs={RUNS}", "-seed=1"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    assert not list(tmp_path.iterdir())


def test_every_target_is_here():
    said = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    (names,) = (line for line in said.stderr.splitlines() if line.startswith("Name a target: "))
    assert set(names.removeprefix("Name a target: ").split(", ")) == set(TARGETS)
