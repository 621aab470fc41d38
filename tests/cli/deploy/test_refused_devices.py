"""Tests devices that cannot be reached, or on which EdgeKit cannot run; nothing changes there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from edgekit.bundle import load_bundle, save_bundle
from edgekit.cli import main
from edgekit.system.installation import origin

PYTHON_3_8 = next(
    (path for path in Path.home().glob(".pyenv/versions/3.8*/bin/python3.8")),
    Path(shutil.which("python3.8") or "/nowhere"),
)


@pytest.fixture
def refused(deploy, service_file, spot_bundle):
    """Deploys to a device that is refused; returns message and hint."""

    def call(host: str, *more: object) -> tuple[str, str]:
        status, found = deploy(host, spot_bundle, "--config", service_file()[0], *more)
        (result,) = found["hosts"]
        assert (status, result["outcome"], result["copied"]) == (3, "failed", 0)
        return result["state"], result["hint"]

    return call


def write_program(folder: Path, name: str, text: str) -> Path:
    """Writes a program of a device, and returns its folder."""
    folder.mkdir()
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return folder


def test_a_name_that_nobody_knows(workstation, refused):
    with workstation.config.open("a") as stream:
        stream.write("Host unknown\n  HostName unknown.invalid\n")
    message, hint = refused("unknown")
    assert message == "Expected unknown to be the name of a device; the name is not known."
    assert "ssh unknown" in hint


def test_a_device_that_asks_for_a_password(start_device, workstation, refused):
    device = start_device("device-a")
    workstation.config.write_text("")
    workstation.add("device-a", device.port, "", key=False)
    message, hint = refused("device-a")
    assert message == (
        "Expected a key that device-a accepts without asking for a password; found none."
    )
    assert "ssh-copy-id device-a" in hint


def test_a_private_key_that_others_may_read(start_device, workstation, refused):
    start_device("device-a")
    workstation.key.chmod(0o644)
    try:
        message, hint = refused("device-a")
    finally:
        workstation.key.chmod(0o600)
    assert message.startswith(f"Expected the private key {workstation.key} to be readable by its")
    assert hint == f"Let only its owner use it: chmod 600 {workstation.key}"


def test_a_device_with_another_host_key(start_device, workstation, refused):
    device = start_device("device-a")
    other = workstation.key.with_suffix(".pub").read_text()
    workstation.known_hosts.write_text(f"device-a {' '.join(other.split()[:2])}\n")
    message, hint = refused("device-a")
    assert "Expected the host key of device-a that known_hosts has; found another one" in message
    assert hint.endswith(f"ssh-keygen -f {workstation.known_hosts} -R device-a")
    assert not device.root.exists()


def test_a_device_whose_host_key_is_not_known(start_device, workstation, refused):
    start_device("device-a")
    workstation.known_hosts.write_text("")
    assert "Expected device-a to be a known host" in refused("device-a")[0]


def test_a_device_without_python(start_device, refused):
    start_device("device-a")
    message, hint = refused("device-a", "--python", "python9")
    assert message.startswith("Expected the program python9 on device-a; found none")
    assert "Install Python 3.10 or newer" in hint


@pytest.mark.skipif(not PYTHON_3_8.exists(), reason="there is no Python 3.8")
def test_a_device_with_python_3_8(start_device, refused):
    start_device("device-a", programs=[PYTHON_3_8.parent])
    message, hint = refused("device-a")
    assert message == "Expected Python 3.10 or newer on device-a; python3 is 3.8."
    assert "--python python3.11" in hint


def test_a_device_of_another_architecture(start_device, refused, tmp_path):
    # The kernel itself tells a process of this personality another architecture.
    there = write_program(tmp_path / "bin", "python3", 'exec setarch i686 /usr/bin/python3 "$@"')
    start_device("device-a", programs=[there])
    message, _ = refused("device-a")
    assert message.startswith("Expected device-a to be Linux on x86_64, aarch64, armv7l; found")
    assert "i686" in message


def test_a_device_whose_clock_is_of_1970(start_device, refused, tmp_path):
    faketime = shutil.which("faketime")
    if faketime is None:
        pytest.skip("there is no faketime")
    text = f'exec {faketime} "1970-01-02 00:00:00" /usr/bin/python3 "$@"'
    start_device("device-a", programs=[write_program(tmp_path / "bin", "python3", text)])
    message, hint = refused("device-a")
    assert "it shows 1970-01-02" in message
    assert "date -u -s" in hint


def test_a_new_device_without_a_file_of_options(start_device, deploy, spot_bundle):
    start_device("device-a")
    status, found = deploy("device-a", spot_bundle)
    (result,) = found["hosts"]
    assert (status, result["outcome"], result["copied"]) == (3, "failed", 0)
    assert result["state"] == (
        "Expected device-a to have a deployment whose options can be kept; found none."
    )
    assert "--config FILE" in result["hint"]


def test_a_device_with_a_read_only_home(start_device, refused, tmp_path):
    start_device("device-a", prepare='mount -t tmpfs -o ro,size=1m tmpfs "$HOME"')
    message, _ = refused("device-a")
    assert "to let its user root write in the home folder" in message
    assert "Read-only file system" in message


def test_a_device_without_space(start_device, refused, tmp_path):
    start_device("device-a", prepare='mount -t tmpfs -o size=10m tmpfs "$HOME"')
    message, hint = refused("device-a")
    assert "MB free in" in message
    assert "found 10 MB" in message
    assert "df -h" in hint


def test_a_device_that_is_full_before_all_is_copied(start_device, refused):
    # Space is free there, but no further file can be made.
    start_device("device-a", prepare='mount -t tmpfs -o size=1g,nr_inodes=12 tmpfs "$HOME"')
    message, hint = refused("device-a")
    assert "No space left on device" in message
    assert "df -h" in hint


def test_a_bundle_for_another_target(start_device, deploy, service_file, spot_bundle, tmp_path):
    start_device("device-a")
    loaded = load_bundle(spot_bundle)
    manifest = msgspec.structs.replace(loaded.manifest, target="jetson", files=())
    files = {"model.onnx": loaded.model_path}
    bundle = save_bundle(tmp_path / "jetson", manifest, files).path
    status, found = deploy("device-a", bundle, "--config", service_file()[0])
    assert status == 3
    assert "Expected a Jetson for a bundle of the target jetson" in found["hosts"][0]["state"]


def test_a_login_that_prints_lines_is_no_obstacle(start_device, workstation, capsys):
    device = start_device("device-a")
    (device.home / ".bashrc").write_text("echo Welcome\necho 'to {\"done\": 1}'\n")
    said = subprocess.run(["ssh", "device-a", "true"], capture_output=True, text=True)
    assert main(["deploy", "--status", "device-a"]) == 0
    assert "no deployment" in capsys.readouterr().out
    assert said.returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "HOST was not given"),
        (["pi@camera"], "Expected HOST and BUNDLE; found only 'pi@camera'"),
        (["--status"], "HOST was not given"),
        (["--", "-oProxyCommand=x", "shipped"], "HOST to be a name for ssh; found '-oProxyCom"),
        (["pi@a b", "shipped"], "Expected HOST to be a name for ssh; found 'pi@a b'"),
        (["pi@a\x1b[2J", "shipped"], "to be a name for ssh; found 'pi@a\\x1b[2J'"),
        (["pi@a", "pi@a", "shipped"], "Expected each HOST once; pi@a was given twice"),
        (["pi@a", "shipped", "--name", "../x"], "letters, digits"),
        (["pi@a", "shipped", "--bench-frames", "3"], "at least 10"),
        (["--status", "--rollback", "pi@a"], "cannot be used together"),
        (["--status", "--config", "x.toml", "pi@a"], "--config is for a deployment"),
        (["--status", "--name", "door", "pi@a"], "--name is for a deployment or --rollback"),
        (["--status", "--watch", "9", "pi@a"], "--watch is for a deployment or --rollback"),
        (["--rollback", "--require-signature", "k", "a"], "--require-signature is for a deploy"),
        (["--rollback", "--bench-frames", "0", "a"], "--bench-frames is for a deployment"),
        (["--rollback", "--wheels", ".", "--python", "p", "a"], "--wheels is for a deployment"),
        (["pi@a", "shipped", "--config", "nowhere.toml"], "Cannot read the configuration"),
    ],
)
def test_wrong_usage(words, said, capsys):
    assert main(["deploy", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_bundle_that_is_none(workstation, tmp_path, capsys):
    workstation.add("device-a", 1, "")
    assert main(["deploy", "device-a", str(tmp_path)]) == 3
    assert "is not a bundle" in capsys.readouterr().err


def test_a_file_of_options_with_a_mistake(tmp_path, capsys):
    path = tmp_path / "door.toml"
    path.write_text("sourse = 1\n")
    assert main(["deploy", "pi@a", "shipped", "--config", str(path)]) == 2
    assert "line 1: there is no option 'sourse'" in capsys.readouterr().err


def test_a_folder_without_wheels(workstation, tmp_path, capsys):
    empty = tmp_path / "my wheels"
    empty.mkdir()
    assert main(["deploy", "pi@a", "shipped", "--wheels", str(empty)]) == 3
    said = capsys.readouterr().err
    assert "Expected wheels in" in said
    assert f"pip wheel -w '{empty}' pip '{origin().place}[systemd]'" in said
