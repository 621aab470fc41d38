"""Tests the suite that measures the device side, in the Python of the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.benchmarks.suites.speed.footprint import (
    first_frame,
    installed_sizes,
    peak_memory,
    seconds_of_imports,
)

PYTHON = Path(sys.executable)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 64))
    for level in range(3):
        writer.write(np.full((64, 96, 3), 40 * level, np.uint8))
    writer.release()
    return path


def test_every_package_has_a_size_and_the_largest_is_first(tmp_path):
    for name, size in (("small", 10), ("large", 2000), ("pip", 9000)):
        (tmp_path / f"{name}.py").write_bytes(b"#" * size)
        about = tmp_path / f"{name}-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (about / "RECORD").write_text(f"{name}.py,,\nis_not_there.py,,\n")
    assert list(installed_sizes(tmp_path).items()) == [("large 1.2", 2000), ("small 1.2", 10)]


def test_a_fresh_process_reports_its_memory_and_times(clip):
    assert 50 << 20 < peak_memory(PYTHON, clip) < 2 << 30
    assert 0 < seconds_of_imports(PYTHON) < 60
    assert 0 < first_frame(PYTHON, clip) < 60


def test_a_command_that_fails_ends_the_suite_with_what_it_said(tmp_path):
    with pytest.raises(SystemExit, match="nowhere"):
        peak_memory(PYTHON, tmp_path / "nowhere.mp4")
    with pytest.raises(SystemExit, match="before its first frame"):
        first_frame(PYTHON, tmp_path / "nowhere.mp4")
