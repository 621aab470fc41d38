"""Tests which private keys may sign: in files, and in an SSH agent."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edgekit.bundle.signing.public_keys import read_public_keys
from edgekit.bundle.signing.signing_keys import signing_key
from edgekit.errors import BadInputError
from tests.ssh_keys import make_key


def openssl(folder: Path, *words: str) -> str:
    path = folder / "key.pem"
    subprocess.run(["openssl", "genpkey", *words, "-out", path], check=True, capture_output=True)
    path.chmod(0o600)
    return str(path)


def signs(name: str) -> bool:
    key = signing_key(name)
    Ed25519PublicKey.from_public_bytes(key.public.raw).verify(key.sign(b"text"), b"text")
    return True


def test_keys_of_openssh_and_openssl(keys: Path, tmp_path: Path) -> None:
    assert signs(str(keys / "ann"))
    assert signing_key(str(keys / "ann")).public == read_public_keys(keys / "ann.pub")[0]
    assert signs(openssl(tmp_path, "-algorithm", "ed25519"))


def test_a_passphrase(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has a passphrase") as caught:
        signing_key(str(keys / "locked"))
    assert f"ssh-add {keys / 'locked'}" in caught.value.hint
    words = ("-algorithm", "ed25519", "-aes-256-cbc", "-pass", "pass:secret")
    with pytest.raises(BadInputError, match="has a passphrase"):
        signing_key(openssl(tmp_path, *words))


@pytest.mark.parametrize(("name", "kind"), [("rsa", "RSA"), ("ecdsa", "ECDSA")])
def test_other_types(keys: Path, name: str, kind: str) -> None:
    with pytest.raises(BadInputError, match=f"found a key of type {kind}") as caught:
        signing_key(str(keys / name))
    assert "ssh-keygen -t ed25519" in caught.value.hint


def test_other_types_of_openssl(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="found a key of type X25519"):
        signing_key(openssl(tmp_path, "-algorithm", "x25519"))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_that_others_may_use(keys: Path, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    shutil.copy(keys / "ann", path)
    path.chmod(mode)
    with pytest.raises(BadInputError, match=f"permissions are 0{mode:o}, and at most 06") as caught:
        signing_key(str(path))
    assert f"chmod 600 {path}" in caught.value.hint
    path.chmod(0o400)
    assert signing_key(str(path)).public == read_public_keys(keys / "ann.pub")[0]


def pem(kind: str, content: str) -> bytes:
    """Returns a PEM block, whose first line would look like a secret in this file."""
    return f"-----BEGIN {kind}-----\n{content}\n-----END {kind}-----\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\0",
        pem("OPENSSH PRIVATE KEY", "AAAA"),
        pem("PRIVATE KEY", "!"),
        b"PuTTY-User-Key-File-3: ssh-ed25519\n",
    ],
)
def test_what_is_no_key(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BadInputError, match="it cannot be read as one"):
        signing_key(str(path))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, why in (("pipe", "regular"), ("missing", "No such"), ("", "directory")):
        with pytest.raises(BadInputError, match=f"Cannot read the key .*{why}"):
            signing_key(str(tmp_path / name))
    for name in ("", "a\0b"):
        with pytest.raises(BadInputError, match="Cannot read the key"):
            signing_key(name)


def test_keys_of_the_agent(keys: Path, agent: Path) -> None:
    (ann,) = read_public_keys(keys / "ann.pub")
    for name in (str(keys / "ann.pub"), "agent:ann@desk", f"agent:{ann.fingerprint}"):
        assert signs(name)
        assert signing_key(name).public == ann


def test_a_key_that_the_agent_does_not_hold(keys: Path, agent: Path) -> None:
    with pytest.raises(BadInputError, match=r"comment 'carl'; found 0\. Its .*ann@desk") as caught:
        signing_key("agent:carl")
    assert "ssh-add FILE" in caught.value.hint
    subprocess.run(["ssh-add", "-q", "-d", keys / "bob.pub"], check=True)
    with pytest.raises(BadInputError, match=r"found 0\.") as caught:
        signing_key(str(keys / "bob.pub"))
    assert caught.value.hint == f"Add its private key: ssh-add {keys / 'bob'}"
    subprocess.run(["ssh-add", "-q", "-D"], check=True)
    with pytest.raises(BadInputError, match="Its Ed25519 keys: none"):
        signing_key("agent:ann@desk")


def test_two_keys_with_the_same_comment(keys: Path, agent: Path, tmp_path: Path) -> None:
    twin = make_key(tmp_path / "twin", "ann@desk")
    subprocess.run(["ssh-add", "-q", twin], check=True)
    with pytest.raises(BadInputError, match="found 2"):
        signing_key("agent:ann@desk")


def test_a_public_key_of_another_type(keys: Path, agent: Path) -> None:
    with pytest.raises(BadInputError, match="found a key of type ssh-rsa"):
        signing_key(str(keys / "rsa.pub"))


def test_a_file_of_two_public_keys(keys: Path, agent: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.pub"
    both.write_text((keys / "ann.pub").read_text() + (keys / "bob.pub").read_text())
    with pytest.raises(BadInputError, match="to contain one key; found 2"):
        signing_key(str(both))
