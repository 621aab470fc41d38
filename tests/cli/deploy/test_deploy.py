"""Tests deployments to real SSH servers, whose services a real systemd runs."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit.benchmarks.suites.deployment._trial import write_clip
from edgekit.benchmarks.suites.deployment.bad_releases import make_bundle
from edgekit.bundle import load_bundle, save_bundle
from edgekit.bundle.signing.signer import sign_bundle
from edgekit.cli import main
from tests.ssh_keys import make_key
from tests.waiting import wait_until

pytestmark = pytest.mark.long

EDGEKIT = [sys.executable, "-m", "edgekit"]


def other_bundle(bundle: Path, folder: Path, *, model: bytes | None = None) -> Path:
    """A bundle of another content, or one with another model file."""
    loaded = load_bundle(bundle)
    file = folder / "model.onnx"
    file.write_bytes(loaded.read_model() if model is None else model)
    import msgspec

    manifest = msgspec.structs.replace(loaded.manifest, name="other", files=())
    return save_bundle(folder / "other", manifest, {"model.onnx": file}).path


def test_a_device_runs_what_was_deployed(deployed, deploy, spot_bundle, capsys, health_of):
    device, options, address = deployed
    assert health_of(address) == "ok"
    (result,) = deploy("device-a", spot_bundle, "--config", options)[1]["hosts"]
    assert (result["outcome"], result["copied"], result["release"]) == ("unchanged", 0, 1)
    (again,) = deploy("device-a", spot_bundle)[1]["hosts"]
    assert again["outcome"] == "unchanged"
    assert main(["deploy", "--status", "device-a", "--json"]) == 0
    (status,) = json.loads(capsys.readouterr().out)["hosts"]
    assert (status["service"], status["release"], status["bundle"]) == ("edgekit", 1, "spot")
    assert (status["level"], status["trial"]) == ("ok", False)
    assert status["sha256"] == load_bundle(spot_bundle).sha256
    assert oct((device.root / "services/edgekit/current/options.toml").stat().st_mode)[-3:] == "600"
    assert main(["deploy", "--status", "device-a"]) == 0
    assert "spot" in capsys.readouterr().out


def test_a_release_and_the_one_before_it(deployed, deploy, spot_bundle, tmp_path, health_of):
    device, _, address = deployed
    other = other_bundle(spot_bundle, tmp_path)
    (result,) = deploy("device-a", other, frames=10)[1]["hosts"]
    assert (result["outcome"], result["release"], result["bundle"]) == ("deployed", 2, "other")
    assert result["milliseconds"] > 0
    assert health_of(address) == "ok"
    (back,) = deploy("device-a", "--rollback")[1]["hosts"]
    assert (back["outcome"], back["release"], back["bundle"]) == ("deployed", 1, "spot")
    assert health_of(address) == "ok"
    assert (device.root / "services/edgekit/current").readlink().name == "1"
    status, found = deploy("device-a", "--rollback")
    assert status == 3
    assert "a release before the current one" in found["hosts"][0]["state"]


def test_one_device_that_fails_does_not_stop_the_others(
    start_device, workstation, deploy, service_file, spot_bundle, capsys, health_of
):
    start_device("device-a")
    workstation.add("absent", 1, "")
    options, address = service_file()
    status, found = deploy("absent", "device-a", spot_bundle, "--config", options)
    assert status == 3
    absent, there = found["hosts"]
    assert (absent["outcome"], there["outcome"]) == ("failed", "deployed"), found
    assert "Expected an SSH server on absent; found none" in absent["state"]
    assert found["error"]["message"] == "What was deployed does not run on 1 of 2 devices: absent."
    assert health_of(address) == "ok"
    assert main(["deploy", "--status", "absent", "device-a"]) == 3
    shown = capsys.readouterr()
    assert "absent" in shown.out
    assert "1 of 2 devices failed: absent." in shown.err


def test_a_service_that_dies_is_rolled_back(deployed, deploy, service_file, spot_bundle, health_of):
    device, _, address = deployed
    broken, _ = service_file(source="/nowhere.mp4")
    status, found = deploy("device-a", spot_bundle, "--config", broken, watch=60)
    assert status == 3
    assert found["hosts"][0]["outcome"] == "rolled back"
    assert "the service ended by itself" in found["hosts"][0]["state"]
    wait_until(lambda: health_of(address) == "ok")
    assert (device.root / "services/edgekit/current").readlink().name == "1"
    assert not (device.root / "services/edgekit/releases/2").exists()


def test_a_release_that_becomes_slow_is_rolled_back(
    deployed, deploy, service_file, tmp_path, health_of
):
    device, _, address = deployed
    dawn = write_clip(tmp_path / "dawn.mp4", 10, [0] * 50 + [255] * 6000)
    options, _ = service_file(source=str(dawn))
    slow = make_bundle(tmp_path, "slow", "slow")
    status, found = deploy("device-a", slow, "--config", options, watch=15)
    (result,) = found["hosts"]
    assert (status, result["outcome"], result["release"]) == (3, "rolled back", 1)
    assert "frames/s; before: ok, " in result["state"]
    wait_until(lambda: health_of(address) == "ok")
    assert (device.root / "services/edgekit/current").readlink().name == "1"


def test_a_broken_bundle_never_replaces_the_old_one(
    deployed, deploy, spot_bundle, tmp_path, health_of
):
    _, _, address = deployed
    broken = other_bundle(spot_bundle, tmp_path, model=b"no model at all")
    status, found = deploy("device-a", broken, frames=10)
    assert (status, found["hosts"][0]["outcome"]) == (3, "failed")
    assert health_of(address) == "ok"
    status, found = deploy("device-a", broken)
    assert (status, found["hosts"][0]["outcome"]) == (3, "rolled back")
    wait_until(lambda: health_of(address) == "ok")


def test_a_signature_is_required_and_copied(deployed, deploy, spot_bundle, tmp_path):
    pytest.importorskip("cryptography")
    device, _, _ = deployed
    key, bundle = make_key(tmp_path / "key"), other_bundle(spot_bundle, tmp_path)
    required = ("device-a", bundle, "--require-signature", f"{key}.pub")
    status, found = deploy(*required)
    assert (status, found["error"]["code"]) == (3, "signature")
    assert not (device.root / "services/edgekit/releases/2").exists()
    sign_bundle(bundle, str(key))
    status, found = deploy(*required)
    assert (status, found["hosts"][0]["outcome"]) == (0, "deployed")
    current = device.root / "services/edgekit/current/bundle"
    assert (current / "signature.json").read_bytes() == (bundle / "signature.json").read_bytes()


def test_a_first_release_that_dies_leaves_nothing(
    start_device, installed, deploy, service_file, spot_bundle
):
    device = start_device("device-a", image=installed())
    broken, _ = service_file(source="/nowhere.mp4")
    status, found = deploy("device-a", spot_bundle, "--config", broken)
    assert (status, found["hosts"][0]["outcome"]) == (3, "rolled back")
    assert not (device.home / ".config/systemd/user/edgekit.service").exists()
    assert not (device.root / "services/edgekit/current").exists()


def test_a_deployment_that_is_killed_leaves_the_old_one(
    deployed, deploy, wheels, spot_bundle, tmp_path, health_of
):
    device, _, address = deployed
    other = other_bundle(spot_bundle, tmp_path)
    chance = random.Random(22)
    for _ in range(4):
        command = ["deploy", "--watch", "600", "--wheels", str(wheels), "device-a", str(other)]
        process = subprocess.Popen([*EDGEKIT, *command], stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.5, 12))
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: health_of(address) == "ok")
        assert (device.root / "services/edgekit/current").readlink().name == "1"
    wait_until(lambda: deploy("device-a", other)[0] == 0)
    assert health_of(address) == "ok"
    assert load_bundle(device.root / "services/edgekit/current/bundle").manifest.name == "other"


def started_trial(wheels, bundle):
    """Begins to deploy a bundle; returns the process once the bundle is on trial."""
    command = ["deploy", "--watch", "600", "--wheels", str(wheels), "device-a", str(bundle)]
    process = subprocess.Popen([*EDGEKIT, *command], stderr=subprocess.PIPE, text=True)
    while "is on trial" not in process.stderr.readline():
        assert process.poll() is None
    return process


def test_the_program_on_the_device_is_killed_within_a_trial(
    deployed, wheels, spot_bundle, tmp_path, health_of
):
    device, _, address = deployed
    process = started_trial(wheels, other_bundle(spot_bundle, tmp_path))
    trial = "/run/user/*/systemd/user/edgekit.service.d/edgekit-trial.conf"
    wait_until(lambda: subprocess.run(["ssh", "device-a", f"ls {trial}"]).returncode == 0)
    assert device.kill_programs()
    assert process.wait() == 3
    process.stderr.close()
    wait_until(lambda: subprocess.run(["ssh", "device-a", f"ls {trial}"]).returncode != 0)
    wait_until(lambda: health_of(address) == "ok")
    assert (device.root / "services/edgekit/current").readlink().name == "1"


def test_a_power_cut_within_a_trial_starts_the_old_one(
    deployed, start_device, wheels, spot_bundle, tmp_path, health_of
):
    device, _, address = deployed
    process = started_trial(wheels, other_bundle(spot_bundle, tmp_path))
    device.close()
    assert process.wait() == 3
    process.stderr.close()
    start_device("device-b", image=device.home)
    wait_until(lambda: health_of(address) == "ok")


def test_two_deployments_at_once(deployed, deploy, wheels, spot_bundle, tmp_path):
    process = started_trial(wheels, other_bundle(spot_bundle, tmp_path))
    status, found = deploy("device-a", spot_bundle)
    assert status == 3
    assert "Another deployment changes this device" in found["hosts"][0]["state"]
    assert f"process {process.pid}" in found["hosts"][0]["state"]
    process.kill()
    process.wait()
    process.stderr.close()
    wait_until(lambda: deploy("device-a", spot_bundle)[0] == 0)


def test_a_service_of_somebody_else_is_left_alone(
    start_device, installed, deploy, service_file, spot_bundle, health_of
):
    device = start_device("device-a", image=installed())
    unit = device.home / ".config/systemd/user/edgekit.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/sleep 1000\n")
    status, found = deploy("device-a", spot_bundle, "--config", service_file()[0])
    assert status == 3
    assert (
        "Expected the service edgekit.service to be made by edgekit deploy"
        in (found["hosts"][0]["state"])
    )
    assert unit.read_text() == "[Service]\nExecStart=/bin/sleep 1000\n"
    options, address = service_file()
    status, _ = deploy("device-a", spot_bundle, "--config", options, "--name", "door")
    assert (status, health_of(address)) == (0, "ok")


def test_a_service_of_another_kind_would_go_on(deployed, deploy, spot_bundle, capsys):
    device, _, _ = deployed
    status, found = deploy("device-a", spot_bundle, "--service", "none")
    assert status == 3
    (host,) = found["hosts"]
    assert host["state"].startswith("Expected --service user for the service edgekit of device-a")
    assert host["hint"].startswith("Use --service user, or another --name.")
    assert (device.root / "services/edgekit/current").readlink().name == "1"


def test_a_device_without_a_service_manager(start_device, deploy, service_file, spot_bundle):
    device = start_device("device-a", systemd="none")
    options, _ = service_file()
    status, found = deploy("device-a", spot_bundle, "--config", options)
    assert status == 3
    assert "systemctl" in found["hosts"][0]["state"]
    status, found = deploy("device-a", spot_bundle, "--config", options, "--service", "none")
    assert (status, found["hosts"][0]["outcome"]) == (0, "deployed")
    current = device.root / "services/edgekit/current"
    assert load_bundle(current / "bundle").manifest.name == "spot"
    command = (
        "cd $HOME/.local/share/edgekit/services/edgekit/current && venv/bin/edgekit run --config"
    )
    words = f"{command} options.toml --bundle bundle --check"
    assert subprocess.run(["ssh", "device-a", words]).returncode == 0
