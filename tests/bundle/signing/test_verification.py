"""Tests that only bundles with a valid signature by an allowed key are accepted."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cryptography")

from edgekit.assets import default_bundle
from edgekit.bundle import MANIFEST, Bundle, load_bundle
from edgekit.bundle.signing.public_keys import PublicKey, read_public_keys
from edgekit.bundle.signing.signature import SIGNATURE, read_signature
from edgekit.bundle.signing.signer import sign_bundle
from edgekit.bundle.signing.verification import check_signature, signature_report
from edgekit.errors import BadInputError, BundleError, SignatureError, UsageError
from edgekit.system.installation import install_line

LONG_AGO, FAR_AWAY = "86400", "4102444800"
"""Seconds since 1970 of 1970-01-02 and 2100-01-01."""


def fingerprint(key: Path) -> str:
    return read_public_keys(key)[0].fingerprint


@pytest.fixture
def signed(bundle: Bundle, keys: Path) -> Bundle:
    sign_bundle(bundle.path, str(keys / "ann"))
    return bundle


def test_a_signed_bundle(signed: Bundle, keys: Path) -> None:
    assert load_bundle(signed.path, require_signature=keys / "ann.pub") == signed
    assert load_bundle(signed.path, require_signature=str(keys / "ann.pub")) == signed
    report = signature_report(signed)
    assert report
    assert (report.valid, report.reason, report.expires) == (True, "", None)
    assert report.fingerprint == fingerprint(keys / "ann.pub")


def test_any_of_several_keys(signed: Bundle, keys: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.write_text((keys / "bob.pub").read_text() + (keys / "ann.pub").read_text())
    assert load_bundle(signed.path, require_signature=both) == signed
    both.write_text((keys / "bob.pub").read_text() * 2)  # ann's key was taken back
    with pytest.raises(SignatureError, match=f"one of 2 keys in {both}; found SHA256:"):
        load_bundle(signed.path, require_signature=both)


def test_an_unsigned_bundle(bundle: Bundle, keys: Path) -> None:
    with pytest.raises(SignatureError, match=r"is not signed: it has no signature\.json") as caught:
        load_bundle(bundle.path, require_signature=keys / "ann.pub")
    assert fingerprint(keys / "ann.pub") in caught.value.message
    assert f"edgekit sign {bundle.path} --key FILE" in caught.value.hint
    spaced = bundle.path.rename(bundle.path.with_name("my bundle"))
    with pytest.raises(SignatureError) as caught:
        load_bundle(spaced, require_signature=keys / "ann.pub")
    assert f"edgekit sign '{spaced}' --key FILE" in caught.value.hint
    assert signature_report(bundle) is None


def test_a_foreign_key(signed: Bundle, keys: Path) -> None:
    with pytest.raises(SignatureError, match="not signed by an allowed key") as caught:
        load_bundle(signed.path, require_signature=keys / "bob.pub")
    assert fingerprint(keys / "ann.pub") in caught.value.message
    assert fingerprint(keys / "bob.pub") in caught.value.message


def test_the_signature_of_another_bundle(signed: Bundle, other_bundle: Bundle, keys: Path) -> None:
    shutil.copy(signed.path / SIGNATURE, other_bundle.path)
    with pytest.raises(SignatureError, match="from another bundle") as caught:
        load_bundle(other_bundle.path, require_signature=keys / "ann.pub")
    assert signed.sha256 in caught.value.message
    assert other_bundle.sha256 in caught.value.message
    report = signature_report(other_bundle)
    assert report
    assert report.valid is False
    assert "from another bundle" in report.reason


def test_a_signature_that_names_an_allowed_key(signed: Bundle, keys: Path) -> None:
    path = signed.path / SIGNATURE
    content = json.loads(path.read_text())
    content["key"] = read_public_keys(keys / "bob.pub")[0].line
    path.write_text(json.dumps(content))
    with pytest.raises(SignatureError, match="did not make this signature"):
        load_bundle(signed.path, require_signature=keys / "bob.pub")


def test_a_longer_validity(bundle: Bundle, keys: Path) -> None:
    sign_bundle(bundle.path, str(keys / "ann"), valid_days=1)
    path = bundle.path / SIGNATURE
    for expires in ("2999-01-01", None):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "expires": expires}))
        with pytest.raises(SignatureError, match="did not make this signature"):
            load_bundle(bundle.path, require_signature=keys / "ann.pub")


def test_a_changed_manifest_is_not_parsed(signed: Bundle, keys: Path) -> None:
    (signed.path / MANIFEST).write_bytes(b"no JSON")
    with pytest.raises(BundleError, match="is not JSON"):
        load_bundle(signed.path)
    with pytest.raises(SignatureError, match="was changed after it was signed"):
        load_bundle(signed.path, require_signature=keys / "ann.pub")


def test_a_changed_model(signed: Bundle, keys: Path) -> None:
    signed.model_path.write_bytes(b"Model")
    with pytest.raises(BundleError, match="its checksum does not match"):
        load_bundle(signed.path, require_signature=keys / "ann.pub")


def test_a_model_that_changes_later_is_not_read(signed: Bundle, keys: Path) -> None:
    found = load_bundle(signed.path, require_signature=keys / "ann.pub")
    found.model_path.write_bytes(b"Model")
    with pytest.raises(BundleError, match="has changed since EdgeKit verified"):
        found.read_model()


def test_each_changed_bit_is_refused(signed: Bundle, keys: Path) -> None:
    content = (signed.path / SIGNATURE).read_bytes()
    allowed = keys / "ann.pub"

    @given(st.integers(0, 8 * len(content) - 1))
    def refused(bit: int) -> None:
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        with tempfile.TemporaryDirectory() as name:
            Path(name, SIGNATURE).write_bytes(changed)
            with pytest.raises(SignatureError):
                check_signature(Path(name), signed.sha256, allowed)

    refused()


def test_a_signature_has_one_spelling(signed: Bundle, keys: Path) -> None:
    path = signed.path / SIGNATURE
    stated = json.loads(path.read_bytes())["signature"]
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        other = f"{stated[:-3]}{letter}=="
        if other == stated:
            continue
        path.write_bytes(path.read_bytes().replace(stated.encode(), other.encode()))
        with pytest.raises(SignatureError):
            check_signature(signed.path, signed.sha256, keys / "ann.pub")
        path.write_bytes(path.read_bytes().replace(other.encode(), stated.encode()))
    check_signature(signed.path, signed.sha256, keys / "ann.pub")


@given(st.binary(min_size=32, max_size=32))
def test_no_key_accepts_an_invented_signature(raw: bytes) -> None:
    key = PublicKey(raw)
    content = {
        "schema": 1, "manifest_sha256": "00" * 32, "signed": "2026-01-01", "expires": None,
        "key": key.line, "signature": base64.b64encode(raw + raw[::-1]).decode(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        Path(name, SIGNATURE).write_text(json.dumps(content))
        Path(name, "allowed").write_text(key.line)
        with pytest.raises(SignatureError, match="did not make this signature"):
            check_signature(Path(name), "00" * 32, Path(name, "allowed"))


def test_an_expired_signature(bundle: Bundle, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", LONG_AGO)
    sign_bundle(bundle.path, str(keys / "ann"), valid_days=3)
    with pytest.raises(SignatureError, match="valid until 1970-01-05, and today is 2") as caught:
        load_bundle(bundle.path, require_signature=keys / "ann.pub")
    assert "--valid-days N" in caught.value.hint
    report = signature_report(bundle)
    assert report
    assert (report.valid, report.signed, report.expires) == (False, "1970-01-02", "1970-01-05")


def test_a_clock_before_the_signature(
    bundle: Bundle, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", FAR_AWAY)
    sign_bundle(bundle.path, str(keys / "ann"), valid_days=3)
    with pytest.raises(SignatureError, match=r"clock of this machine says .* before .*2100") as why:
        load_bundle(bundle.path, require_signature=keys / "ann.pub")
    assert "timedatectl set-ntp true" in why.value.hint
    sign_bundle(bundle.path, str(keys / "ann"))
    assert load_bundle(bundle.path, require_signature=keys / "ann.pub") == bundle


@pytest.mark.parametrize(
    ("days", "is_valid"), [(-5, False), (-2, True), (0, True), (1, True), (3, False)]
)
def test_a_signature_with_an_end_counts_from_a_day_before_its_date(
    bundle: Bundle, keys: Path, monkeypatch: pytest.MonkeyPatch, days: int, is_valid: bool
) -> None:
    """Clocks of two machines may differ by a day; each case holds at midnight too."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(time.time()) + 86400 * days))
    sign_bundle(bundle.path, str(keys / "ann"), valid_days=3)
    report = signature_report(bundle)
    assert report
    assert report.valid == is_valid
    with contextlib.nullcontext() if is_valid else pytest.raises(SignatureError):
        load_bundle(bundle.path, require_signature=keys / "ann.pub")


def test_keys_that_cannot_be_used(signed: Bundle, keys: Path) -> None:
    for name in ("rsa.pub", "ecdsa.pub", "ann", "missing.pub"):
        with pytest.raises(BadInputError):
            load_bundle(signed.path, require_signature=keys / name)
    for nothing in ("", 3):
        with pytest.raises(UsageError, match="Expected require_signature to be a path"):
            load_bundle(signed.path, require_signature=nothing)  # type: ignore[arg-type]


def test_openssh_verifies_it_too(signed: Bundle, keys: Path, tmp_path: Path) -> None:
    signature = read_signature(signed.path)
    assert signature
    key = signature.public_key

    def packed(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    made = packed(b"ssh-ed25519", signature.raw)
    blob = b"SSHSIG\0\0\0\1" + packed(key.blob, b"edgekit-bundle", b"", b"sha512", made)
    (tmp_path / "sig").write_text(
        "-----BEGIN SSH SIGNATURE-----\n"
        f"{base64.encodebytes(blob).decode()}-----END SSH SIGNATURE-----\n"
    )
    (tmp_path / "signers").write_text(f"ann {key.line}\n")
    text = (
        f"EdgeKit bundle 1\nmanifest-sha256 {signed.sha256}\n"
        f"signed {signature.signed}\nexpires never\n"
    )
    words = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "signers", "-I", "ann"]
    words += ["-n", "edgekit-bundle", "-s", tmp_path / "sig"]
    assert subprocess.run(words, input=text, text=True, check=False).returncode == 0
    assert subprocess.run(words, input=text + "\n", text=True, check=False).returncode == 255


@pytest.mark.parametrize("harm", ["unsigned", "manifest", "model"])
def test_a_refused_bundle_reaches_no_runtime(tmp_path: Path, keys: Path, harm: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(default_bundle(), folder)
    if harm != "unsigned":
        sign_bundle(folder, str(keys / "ann"))
        file = folder / (MANIFEST if harm == "manifest" else load_bundle(folder).manifest.model)
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((64, 64, 3), np.uint8))
    words = ["run", str(tmp_path / "1.png"), "--bundle", str(folder)]
    words += ["--require-signature", str(keys / "ann.pub")]
    code = (
        "import sys\nfrom edgekit.cli import main\n"
        f"status = main({words!r})\n"
        "print(status, 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "3 False", done.stderr


def test_without_the_package_nothing_is_accepted(signed: Bundle, keys: Path) -> None:
    code = (
        "import sys\nsys.modules['cryptography'] = None\nfrom edgekit.cli import main\n"
        f"sys.exit(main({['inspect', str(signed.path)]!r} + sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code]
    required = [*command, "--require-signature", str(keys / "ann.pub")]
    done = subprocess.run(required, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert install_line("sign") in done.stderr
    shown = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    signature = json.loads(shown.stdout)["signature"]
    assert signature["valid"] is None
    assert install_line("sign") in signature["reason"]


def test_a_folder_changed_by_a_link(signed: Bundle, keys: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(signed.path)
    found = load_bundle(link, require_signature=keys / "ann.pub")
    shutil.copytree(signed.path, tmp_path / "next")
    (tmp_path / "next" / signed.manifest.model).write_bytes(b"Model")
    link.unlink()
    link.symlink_to(tmp_path / "next")
    with pytest.raises(BundleError, match="has changed since EdgeKit verified"):
        found.read_model()
