"""Defines the file of a signature, and the bytes that a key signs."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import re
import shlex
from pathlib import Path

import msgspec

from edgekit.bundle.signing.public_keys import PublicKey
from edgekit.errors import SignatureError
from edgekit.files.reading import path_below, read_regular
from edgekit.files.schemas import check_schema

__all__ = [
    "SIGNATURE",
    "BundleSignature",
    "encode_signature",
    "message_of",
    "read_signature",
    "sign_command",
]

SIGNATURE = "signature.json"
"""Name of the signature's file in the folder of a bundle."""

_SCHEMA = 1
_MOST_BYTES = 4096
_SIGNATURE_BYTES = 64
_NAMESPACE = b"edgekit-bundle"


class BundleSignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A signature of a bundle, as its file states it.

    Attributes:
        schema: Version of this layout.
        manifest_sha256: SHA-256 of the manifest, which has the SHA-256 of every other file.
        signed: Date on which it was signed, in UTC.
        expires: Last date on which it is valid, in UTC; None if it does not expire.
        key: Public key, as OpenSSH writes it.
        signature: The signature's 64 bytes in base64.
    """

    schema: int = _SCHEMA
    manifest_sha256: str
    signed: datetime.date
    expires: datetime.date | None
    key: str
    signature: str

    @property
    def public_key(self) -> PublicKey:
        """The public key that the file states; anybody can write any key there."""
        return PublicKey.from_line(self.key)

    @property
    def raw(self) -> bytes:
        """The signature's bytes."""
        return base64.b64decode(self.signature, validate=True)


def message_of(manifest_sha256: str, signed: datetime.date, expires: datetime.date | None) -> bytes:
    """Returns the bytes that a key signs.

    They have the form of OpenSSH's signatures of files (SSHSIG). A signature of a bundle therefore
    is no valid answer in a login by SSH, and an agent that is asked for the one never gives the
    other.

    Args:
        manifest_sha256: SHA-256 of the manifest, in hexadecimal.
        signed: Date of the signature.
        expires: Last date on which it is valid; None if it does not expire.
    """
    text = (
        f"EdgeKit bundle {_SCHEMA}\nmanifest-sha256 {manifest_sha256}\n"
        f"signed {signed.isoformat()}\nexpires {expires.isoformat() if expires else 'never'}\n"
    )
    parts = (_NAMESPACE, b"", b"sha512", hashlib.sha512(text.encode()).digest())
    return b"SSHSIG" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def encode_signature(signature: BundleSignature) -> bytes:
    """Returns the content of the file."""
    return msgspec.json.format(msgspec.json.encode(signature), indent=2) + b"\n"


def read_signature(folder: Path) -> BundleSignature | None:
    """Returns the signature in the folder of a bundle, unverified; None if there is none.

    Args:
        folder: Folder of the bundle.

    Raises:
        SignatureError: The file cannot be read, is larger than 4 KiB, or is no signature.
    """
    try:
        content = read_regular(path_below(folder, SIGNATURE, inside=True), _MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _refused(folder, f"cannot be read: {reason}") from error
    try:
        raw = msgspec.json.decode(content)
        if isinstance(raw, dict) and "schema" in raw:
            check_schema(
                raw["schema"],
                _SCHEMA,
                what="signature",
                path=folder / SIGNATURE,
                error=SignatureError,
                hint=_sign_again(folder),
            )
        found = msgspec.convert(raw, BundleSignature)
        _check(found)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refused(folder, f"is not a signature: {error}") from error
    return found


def _check(signature: BundleSignature) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", signature.manifest_sha256):
        raise ValueError("`manifest_sha256` is no SHA-256")
    try:
        raw = signature.raw
        # Bits of the last letter that decode to nothing could be changed otherwise.
        if base64.b64encode(raw).decode() != signature.signature:
            raise binascii.Error
    except binascii.Error as error:
        raise ValueError("`signature` is not base64") from error
    if len(raw) != _SIGNATURE_BYTES:
        raise ValueError(f"`signature` has {len(raw)} bytes; {_SIGNATURE_BYTES} were expected")
    try:
        key = signature.public_key
    except ValueError as error:
        raise ValueError(f"`key`: expected a key of Ed25519; {error}") from error
    if key.line != signature.key:
        raise ValueError("`key` has more than a type and a key")


def _refused(folder: Path, why: str) -> SignatureError:
    return SignatureError(
        f"{folder / SIGNATURE} {why}.",
        hint=_sign_again(folder),
    )


def sign_command(folder: Path, *, expires: bool = False) -> str:
    """Returns the command that signs a bundle, with or without an expiry date, for hints."""
    place = shlex.quote(str(folder))
    if expires:
        return f"edgekit sign {place} --key FILE --valid-days N"
    return f"edgekit sign {place} --key FILE"


def _sign_again(folder: Path) -> str:
    return f"Sign the bundle again: {sign_command(folder)}"
