"""Tests services of the system. A systemd of the user stands in for that of the system."""

from __future__ import annotations

import subprocess

from tests.waiting import wait_until

SYSTEM = ("--service", "system")


def on(device: str, command: str) -> str:
    """Runs a command on a device; returns what it prints."""
    done = subprocess.run(["ssh", device, command], capture_output=True, text=True)
    return done.stdout.strip()


def test_a_service_of_the_system(
    start_device, installed, deploy, service_file, spot_bundle, health_of
):
    device = start_device("device-a", systemd="system", image=installed())
    options, address = service_file()
    status, found = deploy("device-a", spot_bundle, "--config", options, *SYSTEM)
    assert (status, found["hosts"][0]["outcome"]) == (0, "deployed"), found
    assert health_of(address) == "ok"
    shown = "systemctl show edgekit -p User,ProtectSystem,After,Type"
    said = on("device-a", shown)
    for line in ("User=root", "ProtectSystem=full", "Type=notify"):
        assert line in said.splitlines()
    assert "network-online.target" in said
    enabled = device.home / ".config/systemd/user/multi-user.target.wants/edgekit.service"
    assert enabled.is_symlink(), "where the stand-in keeps what is enabled"
    unit = device.home / ".units/edgekit.service"
    assert "\nPrivateTmp=yes\n" in unit.read_text()
    assert on("device-a", "systemctl is-active edgekit") == "active"
    broken, _ = service_file(source="/nowhere.mp4")
    status, found = deploy("device-a", spot_bundle, "--config", broken, *SYSTEM)
    assert (status, found["hosts"][0]["outcome"]) == (3, "rolled back")
    wait_until(lambda: health_of(address) == "ok")
    assert (device.root / "services/edgekit/current").readlink().name == "1"
