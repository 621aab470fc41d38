from __future__ import annotations

import os

import pytest

from edgekit.files import permissions
from edgekit.files.permissions import umask


def test_where_the_system_does_not_tell_the_umask_it_is_asked_for_once(tmp_path, monkeypatch):
    monkeypatch.setattr(permissions, "_STATUS", tmp_path / "none")
    permissions._asked_umask.cache_clear()
    before = os.umask(0o022)
    try:
        assert umask() == 0o022
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("it was set"))
        assert umask() == 0o022
    finally:
        monkeypatch.undo()
        os.umask(before)
        permissions._asked_umask.cache_clear()
