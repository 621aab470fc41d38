"""Tests that public keys of OpenSSH and OpenSSL are read, and everything else is refused."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle.signing.public_keys import PublicKey, parse_public_keys, read_public_keys
from edgekit.errors import BadInputError, UsageError


def output(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def pem(folder: Path, *kind: str) -> Path:
    private, public = folder / "private.pem", folder / "public.pem"
    output("openssl", "genpkey", "-algorithm", *kind, "-out", private)
    output("openssl", "pkey", "-in", private, "-pubout", "-out", public)
    return public


def test_the_fingerprint_is_that_of_ssh_keygen(keys: Path) -> None:
    (key,) = read_public_keys(keys / "ann.pub")
    assert output("ssh-keygen", "-l", "-f", keys / "ann.pub").split()[1] == key.fingerprint
    assert (key.comment, str(key)) == ("ann@desk", f"{key.fingerprint} (ann@desk)")
    assert f"{key.line} ann@desk\n" == (keys / "ann.pub").read_text()


def test_a_file_may_have_many_keys_and_comments(keys: Path, tmp_path: Path) -> None:
    lines = [(keys / name).read_text() for name in ("ann.pub", "bob.pub")]
    file = tmp_path / "allowed"
    file.write_text(f"# of the workshop\n\n{lines[0]}\r\n  # next\n  {lines[1]}")
    assert [key.comment for key in read_public_keys(file)] == ["ann@desk", "bob@desk"]


def test_a_key_of_openssl_is_the_key_of_openssh(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    (key,) = read_public_keys(pem(tmp_path, "ed25519"))
    private = load_pem_private_key((tmp_path / "private.pem").read_bytes(), None)
    assert key.raw == private.public_key().public_bytes_raw()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "found"),
    [("rsa.pub", "found a key of type ssh-rsa"), ("ecdsa.pub", "type ecdsa-sha2-nistp256")],
)
def test_other_types_of_openssh(keys: Path, name: str, found: str) -> None:
    with pytest.raises(BadInputError, match=f"line 1, to contain .*Ed25519.*{found}") as caught:
        read_public_keys(keys / name)
    assert "ssh-keygen -t ed25519" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (("rsa",), "type RSA"),
        (("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "type ECDSA"),
        (("x25519",), "type X25519"),
        (("ed448",), "type Ed448"),
    ],
)
def test_other_types_of_openssl(tmp_path: Path, kind: tuple[str, ...], found: str) -> None:
    with pytest.raises(BadInputError, match=found):
        read_public_keys(pem(tmp_path, *kind))


def test_a_private_key(keys: Path) -> None:
    with pytest.raises(BadInputError, match="found a private key") as caught:
        read_public_keys(keys / "ann")
    assert f"{keys / 'ann'}.pub" in caught.value.hint


def test_a_certificate_and_the_format_of_other_programs(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "ann.pub").write_bytes((keys / "ann.pub").read_bytes())
    output("ssh-keygen", "-q", "-s", keys / "bob", "-I", "id", tmp_path / "ann.pub")
    with pytest.raises(BadInputError, match=r"type ssh-ed25519-cert-v01@openssh\.com"):
        read_public_keys(tmp_path / "ann-cert.pub")
    with pytest.raises(BadInputError, match="found '---- BEGIN SSH2"):
        parse_public_keys(output("ssh-keygen", "-e", "-f", keys / "ann.pub").encode(), "ann")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found no key"),
        (b"# none\n\n", "found no key"),
        (b"\xff\xfe\0", "found binary data"),
        (b"ann@desk ssh-ed25519 AAAA", "found 'ann@desk ssh-ed25519 AAAA'"),
        (b'restrict ssh-ed25519 AAAA', "found 'restrict"),
        (b"ssh-ed25519", "found a damaged key"),
        (b"ssh-ed25519 AAAAC3Nz", "found a damaged key"),
        (b"ssh-ed25519 !!!!", "found a damaged key"),
        (b"-----BEGIN PUBLIC KEY-----\nAA\n", "several PEM blocks, or a damaged one"),
        (b"-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n", "a damaged PEM block"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "type unknown"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "type CERTIFICATE"),
    ],
)  # fmt: skip
def test_what_is_no_key(content: bytes, found: str) -> None:
    with pytest.raises(BadInputError, match=found):
        parse_public_keys(content, "keys")


def test_one_bad_line_refuses_the_file(keys: Path) -> None:
    content = (keys / "ann.pub").read_bytes() + (keys / "rsa.pub").read_bytes()
    with pytest.raises(BadInputError, match="keys, line 2,"):
        parse_public_keys(content, "keys")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(1 << 17))
    for name, why in (
        ("pipe", "not a regular file"),
        ("large", "131072 bytes"),
        ("missing", "No such file"),
        ("", "Is a directory"),
    ):
        with pytest.raises(BadInputError, match=f"Cannot read the public key .*{why}"):
            read_public_keys(tmp_path / name)
    with pytest.raises(UsageError, match="Expected path"):
        read_public_keys(3)  # type: ignore[arg-type]


def test_a_file_that_everybody_may_write(keys: Path, tmp_path: Path) -> None:
    file = tmp_path / "allowed"
    file.write_bytes((keys / "ann.pub").read_bytes())
    file.chmod(0o646)
    with pytest.raises(BadInputError, match="Everybody may write") as caught:
        read_public_keys(file)
    assert f"chmod go-w {file}" in caught.value.hint
    file.chmod(0o664)
    assert len(read_public_keys(file)) == 1


@given(st.binary(min_size=32, max_size=32), st.text(alphabet="ab @-#\u00e4", max_size=9))
def test_a_line_says_what_the_key_is(raw: bytes, comment: str) -> None:
    key = PublicKey(raw, comment.strip())
    assert PublicKey.from_line(f"{key.line} {comment}\n") == key
    assert PublicKey.from_line(f"{key.line} {comment}\n").comment == key.comment
    assert PublicKey.from_blob(key.blob) == key


@given(st.binary(max_size=300) | st.text("\n -#=AZaz09ssh-ed25519", max_size=200).map(str.encode))
def test_any_content_is_keys_or_our_error(content: bytes) -> None:
    try:
        keys = parse_public_keys(content, "keys")
    except BadInputError:
        return
    assert all(key.line.split()[1].encode() in content for key in keys)


@pytest.mark.parametrize("change", [lambda blob: blob[:-1], lambda blob: blob + b"0", bytes.upper])
def test_a_blob_of_another_length_or_type_is_no_key(change) -> None:
    blob = PublicKey(bytes(range(32))).blob
    with pytest.raises(ValueError, match="not one of Ed25519"):
        PublicKey.from_blob(change(blob))


@pytest.mark.parametrize("more", ["=", "=="])
def test_a_key_has_one_spelling(more: str) -> None:
    line = PublicKey(bytes(range(32))).line
    assert PublicKey.from_line(line).line == line
    with pytest.raises(ValueError, match="found a damaged key"):
        PublicKey.from_line(line + more)


@pytest.mark.parametrize("length", [0, 31, 32, 33])
def test_a_pem_block_of_another_length_is_no_key(length: int) -> None:
    content = bytes.fromhex("302a300506032b6570032100") + bytes(length)
    text = base64.b64encode(content).decode()
    block = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()
    if length == 32:
        assert parse_public_keys(block, "keys") == (PublicKey(bytes(32)),)
    else:
        with pytest.raises(BadInputError, match="keys"):
            parse_public_keys(block, "keys")
