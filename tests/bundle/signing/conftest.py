"""Makes bundles, keys of OpenSSH, and an SSH agent that holds one of them."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.assets import default_bundle
from edgekit.benchmarks.suites.support.streams import WITH_ITS_PARENT
from edgekit.bundle import Bundle, load_bundle, save_bundle
from tests.ssh_keys import make_key
from tests.waiting import wait_until


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pairs of keys: ann and bob of Ed25519, rsa, ecdsa, locked with a passphrase."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    folder = tmp_path_factory.mktemp("keys")
    kinds = {
        "ann": "ed25519",
        "bob": "ed25519",
        "rsa": "rsa",
        "ecdsa": "ecdsa",
        "locked": "ed25519",
    }
    for name, kind in kinds.items():
        passphrase = "secret" if name == "locked" else ""
        make_key(folder / name, f"{name}@desk", kind=kind, passphrase=passphrase)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose model no runtime could read."""
    return make_bundle(tmp_path / "bundle", b"model")


@pytest.fixture
def other_bundle(tmp_path: Path) -> Bundle:
    """A bundle that differs from ``bundle`` in its model."""
    return make_bundle(tmp_path / "other", b"other")


def answers(place: Path) -> bool:
    """Returns whether a server accepts connections; its socket is there a little earlier."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place)) == 0


@pytest.fixture
def agent(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The socket of an SSH agent that holds the keys ann, bob and rsa; it can ask nobody."""
    place = tmp_path / "agent"
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    running = subprocess.Popen(
        [*WITH_ITS_PARENT, "ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL
    )
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        wait_until(lambda: answers(place), running)
        for name in ("ann", "bob", "rsa"):
            subprocess.run(["ssh-add", "-q", keys / name], check=True)
        yield place
    finally:
        running.terminate()
        running.wait()


def make_bundle(folder: Path, model: bytes) -> Bundle:
    manifest = load_bundle(default_bundle()).manifest
    file = folder.with_name(f"{folder.name}.model")
    file.write_bytes(model)
    return save_bundle(folder, manifest, {manifest.model: file})
