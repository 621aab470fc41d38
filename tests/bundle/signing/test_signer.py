"""Tests what signing writes, and when it writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from edgekit.bundle import Bundle, load_bundle
from edgekit.bundle.signing import signer
from edgekit.bundle.signing.public_keys import read_public_keys
from edgekit.bundle.signing.signature import SIGNATURE
from edgekit.bundle.signing.signer import sign_bundle
from edgekit.bundle.signing.signing_keys import SigningKey
from edgekit.errors import BadInputError, BundleError, OutputError, SignatureError, UsageError


def test_the_same_date_and_key_give_the_same_bytes(
    bundle: Bundle, keys: Path, agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795910400")
    made = set()
    for key in (keys / "ann", keys / "ann", keys / "ann.pub", "agent:ann@desk"):
        done = sign_bundle(bundle.path, str(key), valid_days=30)
        assert done.path == bundle.path / SIGNATURE
        made.add(done.path.read_bytes())
    assert len(made) == 1
    assert [str(done.signature.signed), str(done.signature.expires)] == ["2026-11-29", "2026-12-29"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795996800")
    assert sign_bundle(bundle.path, str(keys / "ann")).path.read_bytes() not in made


def test_a_later_signature_replaces_the_earlier(bundle: Bundle, keys: Path) -> None:
    sign_bundle(bundle.path, str(keys / "ann"))
    sign_bundle(bundle.path, str(keys / "bob"))
    assert load_bundle(bundle.path, require_signature=keys / "bob.pub") == bundle
    assert sorted(path.name for path in bundle.path.iterdir()) == sorted(
        ["manifest.json", bundle.manifest.model, SIGNATURE]
    )


def test_a_damaged_bundle_is_not_signed(bundle: Bundle, keys: Path) -> None:
    bundle.model_path.write_bytes(b"Model")
    with pytest.raises(BundleError, match="checksum"):
        sign_bundle(bundle.path, str(keys / "ann"))
    assert not (bundle.path / SIGNATURE).exists()


def test_an_unusable_key_leaves_the_earlier_signature(bundle: Bundle, keys: Path) -> None:
    sign_bundle(bundle.path, str(keys / "ann"))
    with pytest.raises(BadInputError):
        sign_bundle(bundle.path, str(keys / "rsa"))
    assert load_bundle(bundle.path, require_signature=keys / "ann.pub") == bundle


@pytest.mark.parametrize(("days", "found"), [(0, "found 0"), (36501, "found 36501"), (1.5, "1.5")])
def test_impossible_days(bundle: Bundle, keys: Path, days: int, found: str) -> None:
    with pytest.raises(UsageError, match=f"Expected valid_days to be .*{found}"):
        sign_bundle(bundle.path, str(keys / "ann"), valid_days=days)


def test_an_impossible_key(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="Expected key to be"):
        sign_bundle(bundle.path, 3)  # type: ignore[arg-type]


def test_dates_after_the_last(bundle: Bundle, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for epoch, days in (("253402300799", 1), ("253402300800", None)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        with pytest.raises(UsageError, match="before the year 10000"):
            sign_bundle(bundle.path, str(keys / "ann"), valid_days=days)


def test_a_folder_that_cannot_be_written(
    bundle: Bundle, keys: Path, bound_by_permissions: None
) -> None:
    bundle.path.chmod(0o500)
    try:
        with pytest.raises(OutputError):
            sign_bundle(bundle.path, str(keys / "ann"))
    finally:
        bundle.path.chmod(0o700)


def test_an_agent_that_signs_something_else(
    bundle: Bundle, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_bundle(bundle.path, str(keys / "ann"))
    (bob,) = read_public_keys(keys / "bob.pub")
    monkeypatch.setattr(signer, "signing_key", lambda _: SigningKey(bob, lambda _: bytes(64)))
    with pytest.raises(SignatureError, match="did not make this signature"):
        sign_bundle(bundle.path, "agent:bob")
    assert load_bundle(bundle.path, require_signature=keys / "ann.pub") == bundle
