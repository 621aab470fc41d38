"""Tests that a killed run leaves no small file system, which would fail later runs."""

from __future__ import annotations

import os
from pathlib import Path


def test_a_small_disk_ends_with_its_process(small_disk: Path) -> None:
    place = f" {small_disk} "
    assert place in Path("/proc/self/mounts").read_text()
    assert place not in Path(f"/proc/{os.getppid()}/mounts").read_text()
