from __future__ import annotations

import os

import pytest

from edgekit.files import permissions
from edgekit.files.permissions import umask


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_where_the_system_does_not_report_the_umask_a_new_file_shows_it(
    tmp_path, monkeypatch, mask
):
    monkeypatch.setattr(permissions, "_STATUS", tmp_path / "nothing")
    before = os.umask(mask)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("it was set"))
        assert umask() == mask
    finally:
        monkeypatch.undo()
        os.umask(before)
