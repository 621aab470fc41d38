"""Tests the hashes of a release and their signature with the commands of docs/releasing.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgekit.errors import BadInputError
from release.signing import sign, write_hashes
from tests.ssh_keys import make_key

PAGE = Path(__file__).resolve().parents[2] / "docs" / "releasing.md"

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not here")


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("key") / "id_ed25519")


@pytest.fixture
def folder(tmp_path):
    """A folder with two files of a release, and the list of trusted keys beside it."""
    dist = tmp_path / "dist"
    dist.mkdir()
    for name in ("edgekit_vision-1.tar.gz", "edgekit_vision-1-py3-none-any.whl"):
        (dist / name).write_text(name)
    return dist


def check(folder, key):
    """Runs the commands of the page, and returns the status of the first that fails."""
    public = key.with_suffix(".pub").read_text().split()
    (folder / "maintainers").write_text(f"edgekit {public[0]} {public[1]}\n")
    (block,) = re.findall(r"^```sh\n(cd dist\n.*?)^```$", PAGE.read_text(), re.S | re.M)
    done = subprocess.run(["sh", "-e"], input=block, text=True, cwd=folder.parent, check=False)
    return done.returncode


def test_the_documented_commands_accept_a_signed_release(folder, key):
    signature = sign(write_hashes(list(folder.iterdir()), folder), key)
    assert signature == folder / "SHA256SUMS.sig"
    assert check(folder, key) == 0


@pytest.mark.parametrize("wrong", ["file", "hashes", "signature of another purpose", "key"])
def test_the_documented_commands_refuse_what_was_changed(folder, key, tmp_path, wrong):
    hashes = write_hashes(list(folder.iterdir()), folder)
    sign(hashes, key)
    trusted = key
    if wrong == "file":
        (folder / "edgekit_vision-1.tar.gz").write_text("other")
    elif wrong == "hashes":
        hashes.write_text(hashes.read_text().upper())
    elif wrong == "key":
        trusted = make_key(tmp_path / "other")
    else:
        (folder / "SHA256SUMS.sig").unlink()
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", key, hashes]
        subprocess.run(command, check=True)
    assert check(folder, trusted) != 0


def test_signing_again_replaces_the_signature(folder, key):
    hashes = write_hashes(list(folder.iterdir()), folder)
    sign(hashes, key)
    (folder / "edgekit-1-licences.md").write_text("more")
    sign(write_hashes([path for path in folder.iterdir() if "SHA" not in path.name], folder), key)
    assert check(folder, key) == 0


@pytest.mark.parametrize("wrong", ["missing", "no key", "readable by all"])
def test_a_key_that_cannot_sign_is_refused(folder, key, tmp_path, wrong):
    path = tmp_path / "key"
    if wrong == "no key":
        path.write_text("hello")
        path.chmod(0o600)
    elif wrong == "readable by all":
        shutil.copy(key, path)
        path.chmod(0o644)
    hashes = write_hashes(list(folder.iterdir()), folder)
    with pytest.raises(BadInputError, match="Expected an SSH key that can sign"):
        sign(hashes, path)
    assert not (folder / "SHA256SUMS.sig").exists()
