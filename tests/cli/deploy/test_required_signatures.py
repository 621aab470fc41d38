"""Tests that a device goes on to require the signatures that a deployment required."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("cryptography")

from edgekit.bundle import load_bundle, save_bundle
from edgekit.bundle.signing.signer import sign_bundle
from edgekit.cli import main
from tests.ssh_keys import make_key
from tests.waiting import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def keys(tmp_path) -> tuple[Path, Path]:
    """Two private keys; their public keys are beside them."""
    return make_key(tmp_path / "ann", "ann@desk"), make_key(tmp_path / "bob", "bob@desk")


@pytest.fixture
def bundle_of(tmp_path, spot_bundle):
    """Makes a bundle of a name, signed by a key if one is given."""

    def make(name: str, key: Path | None = None) -> Path:
        loaded = load_bundle(spot_bundle)
        manifest = msgspec.structs.replace(loaded.manifest, name=name, files=())
        bundle = save_bundle(tmp_path / name, manifest, {"model.onnx": loaded.model_path})
        if key is not None:
            sign_bundle(bundle.path, str(key))
        return bundle.path

    return make


def public(key: Path) -> str:
    return f"{key}.pub"


@pytest.fixture
def guarded(start_device, installed, deploy, service_file, keys, bundle_of):
    """A device without a service manager whose deployment requires a signature by Ann."""
    device = start_device("device-a", systemd="none", image=installed(signed=True))
    words = ("--service", "none", "--config", service_file()[0])
    required = ("--require-signature", public(keys[0]))
    assert deploy("device-a", bundle_of("first", keys[0]), *words, *required)[0] == 0
    return device.root / "services/edgekit"


def refused(deploy, service: Path, *words: object) -> str:
    """Deploys a bundle that is refused before anything is copied; returns the reason."""
    before = sorted(service.rglob("*")), (service / "current").readlink()
    status, found = deploy("device-a", *words, "--service", "none")
    (result,) = found["hosts"]
    assert (status, result["outcome"], result["copied"]) == (3, "failed", 0)
    assert (sorted(service.rglob("*")), (service / "current").readlink()) == before
    return f"{result['state']} {result['hint']}"


def test_the_service_requires_it(deployed, deploy, keys, bundle_of, health_of, capsys):
    device, _, address = deployed
    required = ("--require-signature", public(keys[0]))
    assert deploy("device-a", bundle_of("signed", keys[0]), *required)[0] == 0
    current = device.root / "services/edgekit/current"
    allowed = current / "allowed_keys"
    assert allowed.read_text() == Path(public(keys[0])).read_text()
    assert allowed.stat().st_mode & 0o777 == 0o600
    unit = device.home / ".config/systemd/user/edgekit.service"
    assert unit.read_text().count('/current/allowed_keys"') == 2
    assert health_of(address) == "ok"
    # Not even the service itself takes a bundle that lost its signature.
    (current / "bundle/signature.json").unlink()
    restart = "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user restart --no-block edgekit"
    subprocess.run(["ssh", "device-a", restart], check=True)

    def state() -> str:
        assert main(["deploy", "--status", "device-a", "--json"]) == 0
        return json.loads(capsys.readouterr().out)["hosts"][0]["state"]

    wait_until(lambda: state() == "the service is auto-restart, result exit-code")
    assert health_of(address) == ""


def test_a_bundle_without_it_changes_nothing(guarded, deploy, keys, bundle_of):
    said = refused(deploy, guarded, bundle_of("unsigned"))
    assert "unsigned is not signed: it has no signature.json" in said
    assert "Sign it where the private key is: edgekit sign" in said
    foreign = bundle_of("foreign", keys[1])
    said = refused(deploy, guarded, foreign)
    assert "foreign is not signed by an allowed key. Expected the key SHA256:" in said
    assert "(ann@desk)" in said
    assert "add its public key to device-a:" in said
    # Nor does it if the one who deploys trusts the other key.
    assert refused(deploy, guarded, foreign, "--require-signature", public(keys[1])) == said


def test_a_signature_of_another_bundle(guarded, deploy, keys, bundle_of):
    other, copied = bundle_of("other", keys[0]), bundle_of("copied")
    (copied / "signature.json").write_bytes((other / "signature.json").read_bytes())
    said = refused(deploy, guarded, copied)
    assert "the signature is from another bundle" in said


def test_a_key_is_replaced_by_another(guarded, deploy, keys, bundle_of, tmp_path):
    ann, bob = keys
    both = tmp_path / "both"
    both.write_text("".join(Path(public(key)).read_text() for key in keys))
    none = ("--service", "none")
    second, third = bundle_of("second", ann), bundle_of("third", bob)
    assert deploy("device-a", second, "--require-signature", both, *none)[0] == 0
    assert deploy("device-a", third, "--require-signature", public(bob), *none)[0] == 0
    assert (guarded / "current/allowed_keys").read_text() == Path(public(bob)).read_text()
    assert "(bob@desk)" in refused(deploy, guarded, bundle_of("fourth", ann))
    # Going back would bring the earlier key back.
    status, found = deploy("device-a", "--rollback")
    assert (status, found["hosts"][0]["outcome"]) == (3, "failed")
    assert (
        "requires a signature, and release 2 has none that is valid" in (found["hosts"][0]["state"])
    )
    sign_bundle(second, str(bob))
    assert deploy("device-a", second, *none)[0] == 0
    assert deploy("device-a", "--rollback")[0] == 0
    assert load_bundle(guarded / "current/bundle").manifest.name == "third"


def test_going_back_keeps_what_is_required(start_device, deploy, service_file, keys, bundle_of):
    service = start_device("device-a", systemd="none").root / "services/edgekit"
    words = ("--service", "none", "--config", service_file()[0])
    required = ("--require-signature", public(keys[0]))
    first, second = bundle_of("first", keys[0]), bundle_of("second", keys[0])
    assert deploy("device-a", first, *words)[0] == 0
    assert not (service / "current/allowed_keys").exists()
    assert deploy("device-a", second, *words, *required)[0] == 0
    (again,) = deploy("device-a", second, *words, *required)[1]["hosts"]
    assert again["outcome"] == "unchanged"
    assert deploy("device-a", "--rollback")[0] == 0
    assert (service / "current").readlink().name == "1"
    assert "is not signed" in refused(deploy, service, bundle_of("third"))


def test_keys_of_the_device_that_cannot_be_used(guarded, deploy, keys, bundle_of):
    file, bundle = guarded / "current/allowed_keys", bundle_of("second", keys[0])
    for change, said in (
        (lambda: file.chmod(0o666), "Let only its owner write to it: chmod go-w"),
        (lambda: file.chmod(0o620), "Let only its owner write to it: chmod go-w"),
        (lambda: (file.chmod(0o600), file.write_text("ssh-rsa AAAA\n")), "a key of type ssh-rsa"),
        (lambda: file.write_text(""), "found no key"),
        (file.unlink, "Copy them there again: scp FILE DEVICE:"),
    ):
        change()
        assert said in refused(deploy, guarded, bundle)


def test_keys_that_everybody_may_write_to(workstation, keys, bundle_of, capsys):
    workstation.add("device-a", 1, "")
    Path(public(keys[0])).chmod(0o666)
    bundle = bundle_of("first", keys[0])
    words = ["deploy", "device-a", str(bundle), "--require-signature", public(keys[0])]
    assert main(words) == 3
    assert f"Let only its owner write to it: chmod go-w {public(keys[0])}" in (
        capsys.readouterr().err
    )
