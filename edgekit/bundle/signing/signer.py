"""Writes the signature of a bundle."""

from __future__ import annotations

import base64
import datetime
import logging
from dataclasses import dataclass
from pathlib import Path

from edgekit._checks import as_whole, check_range, unexpected
from edgekit.bundle.folder import Bundle, date_of_today, load_bundle
from edgekit.bundle.signing.public_keys import PublicKey
from edgekit.bundle.signing.signature import (
    SIGNATURE,
    BundleSignature,
    encode_signature,
    message_of,
)
from edgekit.bundle.signing.signing_keys import signing_key
from edgekit.bundle.signing.verification import verify
from edgekit.errors import MissingDependencyError, UsageError
from edgekit.files.writing import atomic_file

__all__ = ["MOST_DAYS", "SignedBundle", "sign_bundle"]

_LOG = logging.getLogger(__name__)

MOST_DAYS = 36500
"""Longest time for which a signature that expires is valid, in days."""


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A bundle that was signed.

    Attributes:
        bundle: The bundle.
        path: File of its signature.
        signature: Content of that file.
        key: Public key that verifies it, with its comment if the SSH agent holds the key.
    """

    bundle: Bundle
    path: Path
    signature: BundleSignature
    key: PublicKey


def sign_bundle(folder: Path | str, key: str, *, valid_days: int | None = None) -> SignedBundle:
    """Checks a bundle, and writes its signature into its folder; an earlier one is replaced.

    The same bundle, key and date give the same bytes. The date is today's, or that of
    ``SOURCE_DATE_EPOCH`` if it is set.

    Args:
        folder: Folder of the bundle.
        key: Private key, as ``signing_key`` takes it: a file, or ``agent:TEXT``.
        valid_days: Number of days after its date on which the signature expires, at most 36500;
            None if it does not expire.

    Raises:
        UsageError: A value has the wrong type or is out of range.
        MissingDependencyError: The package that signs is not installed.
        BundleError: The folder is not a valid bundle.
        BadInputError: The key cannot be used.
        OutputError: The signature cannot be written.
    """
    if not isinstance(key, str):
        raise unexpected("key", "a file name or agent:TEXT, as a string", key)
    if valid_days is not None:
        check_range("valid_days", as_whole("valid_days", valid_days, least=1), 1, MOST_DAYS)
    MissingDependencyError.unless("cryptography", "sign", "Signing a bundle")
    bundle = load_bundle(folder)
    _LOG.info("Read %s and the checksums of its %d files.", folder, len(bundle.manifest.files))
    signed, expires = _dates(valid_days)
    found = signing_key(key)
    raw = found.sign(message_of(bundle.sha256, signed, expires))
    signature = BundleSignature(
        manifest_sha256=bundle.sha256,
        signed=signed,
        expires=expires,
        key=found.public.line,
        signature=base64.b64encode(raw).decode(),
    )
    verify(bundle.path, signature, bundle.sha256)  # an agent is another program
    path = bundle.path / SIGNATURE
    with atomic_file(path) as temporary:
        temporary.write_bytes(encode_signature(signature))
    return SignedBundle(bundle, path, signature, found.public)


def _dates(valid_days: int | None) -> tuple[datetime.date, datetime.date | None]:
    try:
        signed = datetime.date.fromisoformat(date_of_today())
        return signed, signed + datetime.timedelta(valid_days) if valid_days else None
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "Expected SOURCE_DATE_EPOCH and the expiry date to be before the year 10000.",
            hint="Correct the variable, or remove it: unset SOURCE_DATE_EPOCH",
        ) from error
