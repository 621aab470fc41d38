"""Tests the file of a signature, and the bytes that are signed."""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle.signing.public_keys import PublicKey
from edgekit.bundle.signing.signature import (
    SIGNATURE,
    BundleSignature,
    encode_signature,
    message_of,
    read_signature,
)
from edgekit.errors import SignatureError
from edgekit.system.installation import install_line

DATES = st.dates()
HASHES = st.binary(min_size=32, max_size=32).map(bytes.hex)
STATED = st.tuples(HASHES, DATES, st.none() | DATES)


def signature(**changes: Any) -> BundleSignature:
    stated = {
        "manifest_sha256": "0a" * 32,
        "signed": datetime.date(2026, 11, 29),
        "expires": None,
        "key": PublicKey(bytes(32)).line,
        "signature": "A" * 86 + "==",
    }
    return BundleSignature(**{**stated, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / SIGNATURE).write_bytes(encode_signature(signature()))
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / SIGNATURE).read_text())
    change(content)
    (folder / SIGNATURE).write_text(json.dumps(content))


def test_none(tmp_path: Path) -> None:
    assert read_signature(tmp_path) is None


@given(STATED, st.binary(min_size=32, max_size=32))
def test_round_trip(stated: tuple[str, datetime.date, datetime.date | None], raw: bytes) -> None:
    sha256, signed, expires = stated
    key = PublicKey(raw)
    made = signature(manifest_sha256=sha256, signed=signed, expires=expires, key=key.line)
    with tempfile.TemporaryDirectory() as name:
        Path(name, SIGNATURE).write_bytes(encode_signature(made))
        found = read_signature(Path(name))
    assert found == made
    assert (found.public_key, found.raw) == (key, bytes(64))


@given(STATED, STATED)
def test_other_statements_are_other_messages(first: Any, second: Any) -> None:
    assert (message_of(*first) == message_of(*second)) == (first == second)


def test_the_message_is_one_of_openssh() -> None:
    message = message_of("00" * 32, datetime.date(2026, 1, 2), None)
    assert message[:6] == b"SSHSIG"
    assert b"\0\0\0\x0eedgekit-bundle" in message


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content.update(schema=0), "signature schema 1 or older; found 0"),
        (lambda content: content.update(manifest_sha256="0A" * 32), "is no SHA-256"),
        (lambda content: content.update(signed="29.11.2026"), "Invalid RFC3339"),
        (lambda content: content.update(expires=0), "date"),
        (lambda content: content.update(key="ssh-rsa AAAA"), "found a key of type ssh-rsa"),
        (lambda content: content.update(key=content["key"] + " me"), "more than a type and a key"),
        (lambda content: content.update(signature="AAAA"), "has 3 bytes; 64 were expected"),
        (lambda content: content.update(signature="A\u00e4"), "ASCII|base64"),
        (lambda content: content.update(signature="AA A"), "is not base64"),
        (lambda content: content.update(more=1), "unknown field `more`"),
        (lambda content: content.pop("expires"), "missing required field `expires`"),
    ],
)
def test_a_changed_field(folder: Path, change: Callable[[Any], object], why: str) -> None:
    edit(folder, change)
    with pytest.raises(SignatureError, match=why) as caught:
        read_signature(folder)
    assert f"edgekit sign {folder} --key" in caught.value.hint


def test_a_newer_layout_names_the_upgrade(folder: Path) -> None:
    edit(folder, lambda content: content.update(schema=2, later=True))
    with pytest.raises(SignatureError, match="signature schema 2; this EdgeKit knows up") as caught:
        read_signature(folder)
    assert install_line(upgrade=True) in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"null", b"[" * 4000, b'{"schema": 1e400}', b"{}"],
)
def test_what_is_no_signature(folder: Path, content: bytes) -> None:
    (folder / SIGNATURE).write_bytes(content)
    with pytest.raises(SignatureError, match="is not a signature"):
        read_signature(folder)


def test_trailing_bytes(folder: Path) -> None:
    with (folder / SIGNATURE).open("ab") as file:
        file.write(b"{}")
    with pytest.raises(SignatureError, match=r"is not a signature: .*trailing"):
        read_signature(folder)


def test_what_is_no_file_of_its_size(folder: Path, tmp_path: Path) -> None:
    path = folder / SIGNATURE
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(SignatureError, match="1099511627776 bytes, and at most 4096 are read"):
        read_signature(folder)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SignatureError, match="neither a regular file nor a folder"):
        read_signature(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(SignatureError, match="Is a directory"):
        read_signature(folder)
    path.rmdir()
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "outside").write_bytes(content)
    (inner / SIGNATURE).symlink_to(tmp_path / "outside")
    with pytest.raises(SignatureError, match="a link that leads out"):
        read_signature(inner)
    path.symlink_to(path)
    with pytest.raises(SignatureError, match="cannot be read"):
        read_signature(folder)


@given(st.binary(max_size=400))
def test_any_content_is_a_signature_or_our_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name, SIGNATURE).write_bytes(content)
        with pytest.raises(SignatureError):
            read_signature(Path(name))
