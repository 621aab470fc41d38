"""Simulated devices with SSH and systemd, and what is deployed to them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from edgekit.benchmarks.suites.deployment._trial import write_clip
from edgekit.benchmarks.suites.deployment.offline_wheels import make_wheels
from edgekit.benchmarks.suites.deployment.ssh_devices import (
    SshDevice,
    Workstation,
    reason_for_none,
)
from edgekit.benchmarks.suites.support.streams import free_ports
from edgekit.bundle.signing.signer import sign_bundle
from edgekit.cli import main
from tests.ssh_keys import make_key
from tests.waiting import wait_until


@pytest.fixture(scope="session")
def workstation_folder(tmp_path_factory) -> Path:
    if reason := reason_for_none():
        pytest.skip(f"no devices can be simulated: {reason}")
    return tmp_path_factory.mktemp("workstation")


@pytest.fixture
def workstation(workstation_folder, monkeypatch) -> Workstation:
    made = Workstation(workstation_folder)
    monkeypatch.setenv("PATH", made.path)
    return made


@pytest.fixture(scope="session")
def home_at(once) -> Path:
    """Folder at which every device sees its home, so that one can begin with that of another."""
    return once("home", lambda folder: None)


@pytest.fixture
def start_device(tmp_path, workstation, home_at):
    """Starts a simulated device of a name, which ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda name, **more: stack.enter_context(
            SshDevice(tmp_path / name, name, workstation, **{"home_at": home_at, **more})
        )


@pytest.fixture(scope="session")
def wheels(once) -> Path:
    return once("wheels", make_wheels)


@pytest.fixture(scope="session")
def long_clip(once) -> Path:
    """Twenty minutes of a still picture."""

    def make(folder: Path) -> None:
        write_clip(folder / "long.mp4", 10, [0] * 12_000)

    return once("long_clip", make) / "long.mp4"


@pytest.fixture(scope="session")
def first_release(workstation_folder, wheels, long_clip, home_at):
    """Deploys a bundle to a new device; returns it with its options and their health page."""

    def deploy(folder: Path, bundle: Path, *words: str, **more: object):
        workstation = Workstation(workstation_folder)
        options, address = write_options(folder, long_clip)
        environment = {**os.environ, "PATH": workstation.path}
        given = ["--wheels", str(wheels), "--watch", "1", "--config", str(options), *words]
        with SshDevice(folder / "first", "first", workstation, home_at=home_at, **more) as device:
            command = [sys.executable, "-m", "edgekit", "deploy", "first", str(bundle), *given]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
        return device, options, address

    return deploy


@pytest.fixture(scope="session")
def installed(once, first_release, spot_bundle):
    """Makes home folders with the packages of an earlier deployment, and nothing else of it.

    Installing them takes most of the time of a first deployment. They are those for a service of
    the user or, if ``signed``, for a signed bundle without a service.
    """

    def home(*, signed: bool = False) -> Path:
        def make(folder: Path) -> None:
            bundle, words = spot_bundle, []
            if signed:
                key = make_key(folder / "key")
                bundle = shutil.copytree(spot_bundle, folder / "bundle")
                sign_bundle(bundle, str(key))
                words = ["--service", "none", "--require-signature", f"{key}.pub"]
            device, _, _ = first_release(folder, bundle, *words)
            for place in (device.home / ".config", *device.root.iterdir()):
                if place.name != "venvs":
                    shutil.rmtree(place, ignore_errors=True)

        return once(f"installed-signed-{signed}", make) / "first" / "home"

    return home


@pytest.fixture(scope="session")
def image(tmp_path_factory, first_release, installed, spot_bundle):
    """Home folder of a device that runs a first release; its options, and their health page."""
    folder = tmp_path_factory.mktemp("image")
    device, options, address = first_release(folder, spot_bundle, image=installed())
    return device.home, options, address


@pytest.fixture
def deployed(start_device, image, health_of):
    """A device that runs a first release: the device, its options and its health page."""
    home, options, address = image
    device = start_device("device-a", image=home)
    wait_until(lambda: health_of(address) == "ok")
    return device, options, address


def write_options(folder: Path, clip: Path, **more: object) -> tuple[Path, str]:
    """Writes the options of a service; returns the file and the address of its health page."""
    port = free_ports(1)
    values = {"source": str(clip), "realtime": True, "threads": 1, "serve": str(port), **more}
    path = folder / f"options-{port}.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path, f"http://127.0.0.1:{port}/health"


@pytest.fixture
def service_file(tmp_path, long_clip):
    """Writes the options of a service; returns the file and the address of its health."""
    return partial(write_options, tmp_path, long_clip)


@pytest.fixture
def deploy(wheels, capsys):
    """Calls ``edgekit deploy --json``; returns the exit status and what it printed."""

    def call(*words: object, watch: int = 1, frames: int = 0) -> tuple[int, dict]:
        command = ["deploy", "--json", "--watch", str(watch)]
        if "--rollback" not in words:
            command += ["--wheels", str(wheels), "--bench-frames", str(frames)]
        status = main([*command, *map(str, words)])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err, shown.err
        return status, json.loads(shown.out)

    return call


@pytest.fixture
def health_of():
    """Reads the status of a service by its page; empty if it does not answer."""

    def read(address: str) -> str:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            return json.load(answer)["status"]
        return ""

    return read
