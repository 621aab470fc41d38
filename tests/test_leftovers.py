"""Tests that a run of the tests leaves nothing that a later one would meet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.system.user_folders import user_folder


def test_a_small_disk_ends_with_its_process(small_disk: Path) -> None:
    place = f" {small_disk} "
    assert place in Path("/proc/self/mounts").read_text()
    assert place not in Path(f"/proc/{os.getppid()}/mounts").read_text()


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "XDG_STATE_HOME"])
def test_what_commands_keep_for_later_ends_with_the_run(variable: str, tmp_path: Path) -> None:
    assert tmp_path.parents[1] in user_folder(variable, "", "", make=False).parents
