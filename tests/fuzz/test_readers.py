"""Fuzzes each reader for a short time; CONTRIBUTING.md has the command for hours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris")

SCRIPT = Path(__file__).with_name("readers.py")
RUNS = 500


TARGETS = {
    *("manifest", "manifest-values", "signature", "public-keys", "report", "options", "weights"),
    *("annotations", "annotation-values", "detections", "detection-values", "packed-detections"),
    *("pickle", "mat", "moc", "ava", "cvat", "coco-video", "label-studio", "datumaro", "page"),
}


def test_nothing_but_our_own_errors(tmp_path):
    # The fuzzer measures the peak memory of its process, which begins with that of its parent: the
    # shell is small, and this process may not be.
    small_parent = ["sh", "-c", '"$@"; exit $?', "sh"]
    flags = [f"-runs={RUNS}", "-seed=1", "-timeout=300"]  # on a busy machine 5 s are no proof
    command = [*small_parent, sys.executable, SCRIPT, "all", *flags]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = re.sub("^(INFO|WARNING):.*\n", "", ended.stderr, flags=re.M)
    assert ended.returncode == 0, ended.stdout[-2000:] + said[-8000:]
    names = re.findall("^Target: (.*)$", ended.stderr, re.M)
    assert (set(names), len(names)) == (TARGETS, len(TARGETS))
    assert not list(tmp_path.iterdir())
