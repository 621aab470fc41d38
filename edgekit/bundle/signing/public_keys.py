"""Reads public keys as OpenSSH and OpenSSL write them, and names them by their fingerprints."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from edgekit._checks import required_path
from edgekit.errors import BadInputError
from edgekit.files.reading import read_regular

__all__ = ["KEY_TYPE", "PublicKey", "is_public_key", "parse_public_keys", "read_public_keys"]

KEY_TYPE = "ssh-ed25519"
"""Name of OpenSSH for Ed25519, the only type of key that EdgeKit uses."""

_BYTES = 32
_SSH_PREFIX = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
_PEM_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""Bytes before the key in a SubjectPublicKeyInfo of Ed25519 (RFC 8410)."""

_PEM_TYPES = {
    bytes.fromhex("06092a864886f70d010101"): "RSA",
    bytes.fromhex("06072a8648ce3d0201"): "ECDSA",
    bytes.fromhex("06032b656e"): "X25519",
    bytes.fromhex("06032b6571"): "Ed448",
}
"""Object identifiers of other types of keys."""

_SSH_TYPE = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]+")
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----\s*")
_MOST_BYTES = 1 << 16
_SHOWN = 40
_HINT = "Make a pair of keys: ssh-keygen -t ed25519 -f FILE. The public key is then in FILE.pub."


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of Ed25519.

    Attributes:
        raw: The key's 32 bytes.
        comment: Comment beside the key in its file, such as ``ann@workstation``; not compared.
    """

    raw: bytes
    comment: str = field(default="", compare=False)

    @property
    def blob(self) -> bytes:
        """The key in the binary form of the SSH protocol."""
        return _SSH_PREFIX + self.raw

    @property
    def line(self) -> str:
        """The key as OpenSSH writes it, without its comment."""
        return f"{KEY_TYPE} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint as ``ssh-keygen -l`` prints it, such as ``SHA256:uNiVztks...``."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.comment})" if self.comment else self.fingerprint

    @classmethod
    def from_blob(cls, blob: bytes, comment: str = "") -> PublicKey:
        """Returns the key in a binary form of the SSH protocol.

        Raises:
            ValueError: The bytes are no key of Ed25519.
        """
        if not blob.startswith(_SSH_PREFIX) or len(blob) != len(_SSH_PREFIX) + _BYTES:
            raise ValueError("the key is not one of Ed25519")
        return cls(blob[-_BYTES:], comment)

    @classmethod
    def from_line(cls, line: str) -> PublicKey:
        """Returns the key in a line as OpenSSH writes it: type, base64, comment.

        Raises:
            ValueError: The line is no such key; the text says what was found.
        """
        kind, _, rest = line.strip().partition(" ")
        encoded, _, comment = rest.strip().partition(" ")
        if kind != KEY_TYPE:
            if _SSH_TYPE.fullmatch(kind):
                raise ValueError(f"found a key of type {kind}")
            raise ValueError(f"found {_shown(line)}")
        try:
            blob = base64.b64decode(encoded, validate=True)
            if base64.b64encode(blob).decode() != encoded:
                raise ValueError
            return cls.from_blob(blob, comment.strip())
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"found a damaged key: {_shown(encoded)}") from error


def is_public_key(content: bytes) -> bool:
    """Returns whether a file looks like a public key, of any type."""
    text = content.decode(errors="replace").lstrip()
    return (
        bool(_SSH_TYPE.match(text)) or re.match(r"-----BEGIN [A-Z ]*PUBLIC KEY", text) is not None
    )


def read_public_keys(path: Path | str) -> tuple[PublicKey, ...]:
    """Returns the public keys in a file: one key as PEM, or lines as OpenSSH writes them.

    Empty lines, and lines that begin with ``#``, are ignored.

    Args:
        path: Path of the file, at most 64 KiB.

    Raises:
        UsageError: ``path`` is no path.
        BadInputError: The file cannot be read, everybody may write to it, or it contains anything
            but public keys of Ed25519.
    """
    path = required_path("path", path)
    try:
        content = read_regular(path, _MOST_BYTES)
        mode = path.stat().st_mode
    except OSError as error:
        raise BadInputError(
            f"Cannot read the public key {path}: {error.strerror}.",
            hint=f"Check the name and its permissions. {_HINT}",
        ) from error
    if mode & 0o002:
        raise BadInputError(
            f"Everybody may write to {path}, and so allow another key.",
            hint=f"Let only its owner write to it: chmod go-w {shlex.quote(str(path))}",
        )
    return parse_public_keys(content, str(path))


def parse_public_keys(content: bytes, name: str) -> tuple[PublicKey, ...]:
    """Returns the public keys in the content of a file, as ``read_public_keys`` does.

    Args:
        content: Content of the file.
        name: Name of the file, for errors.

    Raises:
        BadInputError: The file contains anything but public keys of Ed25519.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise _refused(name, "found binary data") from error
    if "PRIVATE KEY-----" in text:
        raise BadInputError(
            f"Expected {name} to contain public keys; found a private key.",
            hint=f"Name the file of the public key, which is usually {name}.pub",
        )
    if "-----BEGIN " in text:
        return (_from_pem(text, name),)
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                keys.append(PublicKey.from_line(line))
            except ValueError as error:
                raise _refused(f"{name}, line {number},", str(error)) from error
    if not keys:
        raise _refused(name, "found no key")
    return tuple(keys)


def _from_pem(text: str, name: str) -> PublicKey:
    match = _PEM.fullmatch(text.lstrip())
    if match is None:
        raise _refused(name, "found several PEM blocks, or a damaged one")
    if match[1] != "PUBLIC KEY":
        raise _refused(name, f"found a PEM block of type {match[1]}")
    try:
        content = base64.b64decode("".join(match[2].split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise _refused(name, "found a damaged PEM block") from error
    if content.startswith(_PEM_PREFIX) and len(content) == len(_PEM_PREFIX) + _BYTES:
        return PublicKey(content[-_BYTES:])
    kind = next((kind for mark, kind in _PEM_TYPES.items() if mark in content[:32]), "unknown")
    raise _refused(name, f"found a key of type {kind}")


def _refused(name: str, found: str) -> BadInputError:
    return BadInputError(
        f"Expected {name} to contain a public key of Ed25519 ({KEY_TYPE}); {found}.", hint=_HINT
    )


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
