"""Requests that the program on a device answers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from edgekit.deploy.on_device.agent import Agent
from edgekit.deploy.on_device.connection import DeviceError, WorkstationConnection
from edgekit.deploy.on_device.releases import Releases


class Quiet(WorkstationConnection):
    """A connection whose workstation waits."""

    def hung_up(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ('echo \'{"error": {"message": "it is not signed"}}\'; exit 3', "it is not signed"),
        ("kill -9 $$", "edgekit inspect ended with status -9"),
        ("echo 1; exit 3", "edgekit inspect ended with status 3"),
    ],
)
def test_why_a_release_gets_no_keys(tmp_path: Path, program: str, reason: str) -> None:
    edgekit = tmp_path / "venvs/v/bin/edgekit"
    edgekit.parent.mkdir(parents=True)
    edgekit.write_text(f"#!/bin/sh\n{program}\n")
    edgekit.chmod(0o755)
    releases = Releases(tmp_path / "services/door")
    for keys in (None, "ssh-ed25519 AAAA"):
        number = releases.create({}, "", keys, tmp_path / "bundles/b", tmp_path / "venvs/v")
    releases.switch(number)
    agent = Agent(Quiet(io.BytesIO(), io.BytesIO()), tmp_path)
    with pytest.raises(DeviceError, match=f"none that is valid: {reason}"):
        agent.keep_keys("door", 1)
