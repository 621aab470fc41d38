"""Requests that the program on a device answers."""

from __future__ import annotations

import io
import os
import time
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


def test_results_that_nobody_fetched_are_removed_after_a_week(tmp_path: Path) -> None:
    edgekit, work = tmp_path / "venvs/v/bin/edgekit", tmp_path / "work"
    for folder in (edgekit.parent, work):
        folder.mkdir(parents=True)
    edgekit.write_text("#!/bin/sh\nls\n")
    edgekit.chmod(0o755)
    for name, days in (("old.json.gz", 8), ("new.json.gz", 6)):
        (work / name).write_text("")
        os.utime(work / name, (time.time() - 86400 * days,) * 2)
    answer = Agent(Quiet(io.BytesIO(), io.BytesIO()), tmp_path).edgekit("v", ["eval"])
    assert (answer["status"], answer["out"]) == (0, "new.json.gz\n")


def test_a_release_that_has_become_current_stays_if_it_cannot_be_enabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl = tmp_path / "bin/systemctl"
    systemctl.parent.mkdir()
    state = "echo ActiveState=active; echo SubState=running; echo NRestarts=0"
    systemctl.write_text(
        f'#!/bin/sh\ncase "$2" in show) {state} ;; enable) echo no access >&2; exit 1 ;; esac\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    releases = Releases(tmp_path / "services/door")
    for _ in range(2):
        releases.create({}, "", None, tmp_path / "bundles/b", tmp_path / "venvs/v")
        releases.switch(1)
    agent = Agent(Quiet(io.BytesIO(), io.BytesIO()), tmp_path)
    with pytest.raises(DeviceError, match=r"enable door\.service failed: no access"):
        agent.switch("door", 2, "user", 0.0)
    assert releases.current() == 2
    assert (releases.link / "options.toml").is_file()
