"""Verifies the signature of a bundle: by an allowed key, of this manifest, and not expired."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.bundle.manifest import MANIFEST
from edgekit.bundle.signing.public_keys import PublicKey, read_public_keys
from edgekit.bundle.signing.signature import (
    SIGNATURE,
    BundleSignature,
    message_of,
    read_signature,
    sign_command,
)
from edgekit.errors import MissingDependencyError, SignatureError

if TYPE_CHECKING:
    from edgekit.bundle.folder import Bundle

__all__ = ["SignatureReport", "check_signature", "check_signed_by", "signature_report", "verify"]

_LOG = logging.getLogger(__name__)
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """Content of a bundle's signature, and whether it is valid.

    Attributes:
        fingerprint: Fingerprint of the key that made it, as ``ssh-keygen -l`` prints it.
        signed: Date of the signature, as YYYY-MM-DD.
        expires: Last date on which it is valid; None if it does not expire.
        valid: Whether that key signed this manifest and the signature has not expired; None if the
            package that verifies it is not installed.
        reason: Why it is not valid, or was not verified; empty if it is valid.
    """

    fingerprint: str | None
    signed: str | None
    expires: str | None
    valid: bool | None
    reason: str


def check_signature(folder: Path, manifest_sha256: str, keys: Path | str) -> BundleSignature:
    """Returns the signature of a bundle if an allowed key made it, and it is valid today.

    Args:
        folder: Folder of the bundle.
        manifest_sha256: SHA-256 of the manifest that was read from the folder.
        keys: File of the allowed public keys, as ``read_public_keys`` reads it. It is read at every
            call, so that keys can change while a program runs.

    Raises:
        BadInputError: The file of the keys is invalid.
        MissingDependencyError: The package that verifies signatures is not installed.
        SignatureError: The bundle is not signed, or not by an allowed key, or it was changed, or
            the signature has expired.
    """
    return check_signed_by(folder, manifest_sha256, read_public_keys(keys), str(keys))


def check_signed_by(
    folder: Path, manifest_sha256: str, allowed: Sequence[PublicKey], keys: str
) -> BundleSignature:
    """Returns the signature of a bundle as ``check_signature`` does, for keys that were read.

    Args:
        folder: Folder of the bundle.
        manifest_sha256: SHA-256 of the manifest that was read from the folder.
        allowed: Allowed public keys, at least one.
        keys: Name of their file, for errors.

    Raises:
        MissingDependencyError: The package that verifies signatures is not installed.
        SignatureError: As for ``check_signature``.
    """
    MissingDependencyError.unless("cryptography", "sign", "Verifying a signature")
    expected = f"the key {allowed[0]}" if len(allowed) == 1 else f"one of {len(allowed)} keys"
    expected += f" in {keys}"
    signature = read_signature(folder)
    if signature is None:
        raise SignatureError(
            f"{folder} is not signed: it has no {SIGNATURE}. Expected a signature by {expected}.",
            hint=f"Sign it where the private key is: {sign_command(folder)}",
        )
    key = _allowed(signature.public_key, allowed)
    if key is None:
        raise SignatureError(
            f"{folder} is not signed by an allowed key. Expected {expected}; found "
            f"{signature.public_key}.",
            hint=f"Sign it with an allowed key: {sign_command(folder)}. If you trust the "
            f"other key, add its public key to {keys}",
        )
    verify(folder, signature, manifest_sha256)
    _check_dates(folder, signature)
    until = f"valid until {signature.expires}" if signature.expires else "without an expiry date"
    _LOG.info("%s was signed by %s on %s, %s.", folder, key, signature.signed, until)
    return signature


def signature_report(bundle: Bundle) -> SignatureReport | None:
    """Returns what the signature in a bundle says, whoever signed it; None if there is none."""
    try:
        signature = read_signature(bundle.path)
    except SignatureError as error:
        return SignatureReport(None, None, None, valid=False, reason=error.message)
    if signature is None:
        return None
    valid: bool | None = True
    reason = ""
    try:
        MissingDependencyError.unless("cryptography", "sign", "Verifying a signature")
        verify(bundle.path, signature, bundle.sha256)
        _check_dates(bundle.path, signature)
    except MissingDependencyError as error:
        valid, reason = None, f"{error.message} {error.hint}"
    except SignatureError as error:
        valid, reason = False, error.message
    return SignatureReport(
        signature.public_key.fingerprint,
        signature.signed.isoformat(),
        signature.expires.isoformat() if signature.expires else None,
        valid=valid,
        reason=reason,
    )


def verify(folder: Path, signature: BundleSignature, manifest_sha256: str) -> None:
    """Checks that the key in a signature made it, for this manifest.

    Args:
        folder: Folder of the bundle, for errors.
        signature: Signature to check.
        manifest_sha256: SHA-256 of the manifest that was read.

    Raises:
        SignatureError: It is not so.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = signature.public_key
    message = message_of(signature.manifest_sha256, signature.signed, signature.expires)
    hint = f"Copy the bundle again, or sign it again: {sign_command(folder)}"
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature.raw, message)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(
            f"{folder / SIGNATURE} names the key {key}, but that key did not make this signature. "
            "The file was changed or forged.",
            hint=hint,
        ) from error
    if signature.manifest_sha256 != manifest_sha256:
        raise SignatureError(
            f"{folder / SIGNATURE} signs a manifest with the SHA-256 {signature.manifest_sha256}; "
            f"{MANIFEST} has {manifest_sha256}. The bundle was changed after it was signed, or the "
            "signature is from another bundle.",
            hint=hint,
        )


def _allowed(key: PublicKey, allowed: Sequence[PublicKey]) -> PublicKey | None:
    """Returns the allowed key that equals a key, with its comment; None if there is none."""
    return next((each for each in allowed if each == key), None)


def _check_dates(folder: Path, signature: BundleSignature) -> None:
    if signature.expires is None:
        return
    today = datetime.datetime.now(datetime.timezone.utc).date()
    if today > signature.expires:
        raise SignatureError(
            f"The signature of {folder} expired: it is valid until {signature.expires}, and today "
            f"is {today} (UTC).",
            hint=f"Sign it again: {sign_command(folder, expires=True)}",
        )
    if today < signature.signed - _DAY:  # clocks may differ a little
        raise SignatureError(
            f"The clock of this machine says {today}, which is before {folder} was signed "
            f"({signature.signed}). EdgeKit cannot tell whether the signature, valid until "
            f"{signature.expires}, has expired.",
            hint="Set the clock (timedatectl set-ntp true), or sign without an expiry date: "
            f"{sign_command(folder)}",
        )
