"""Tests the connection to a device that answers something else than EdgeKit's program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekit.deploy.ssh import DeviceConnection
from edgekit.errors import HostError


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("edgekit-device 3.11\nWelcome!", r"found b'Welcome!\\n'"),
        ("edgekit-device 3.11\n[1]", r"found b'\[1\]\\n'"),
        ("edgekit-device 3.11\n{}", r"found b'\{\}\\n'"),
        ("edgekit-device three", r"found b'edgekit-device three\\n'"),
        ("edgekit-device 3.11", "The connection to device was lost"),
    ],
)
def test_strange_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, found: str
) -> None:
    (tmp_path / "said").write_text(f"{said}\n")
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\ncat '{tmp_path}/said'\nexec 1>&-\ncat >'{tmp_path}/sent'\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(HostError, match=found):
        DeviceConnection("device")
