"""Finds the private key that signs: in a file, or in the user's SSH agent."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgekit._parameters import parameter
from edgekit.bundle.signing.public_keys import PublicKey, is_public_key, parse_public_keys
from edgekit.bundle.signing.ssh_agent import SshAgent
from edgekit.errors import BadInputError
from edgekit.files.reading import read_regular

__all__ = ["SigningKey", "signing_key"]

_AGENT = "agent:"
_MOST_BYTES = 1 << 16
_MAKE = "Make one: ssh-keygen -t ed25519 -f FILE"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that can sign.

    Attributes:
        public: Its public key.
        sign: Function that returns the signature of a message, 64 bytes.
    """

    public: PublicKey
    sign: Callable[[bytes], bytes] = field(repr=False)


def signing_key(name: str) -> SigningKey:
    """Returns the key that a name stands for.

    Args:
        name: File of a private key as OpenSSH or OpenSSL write it, without a passphrase; file of a
            public key whose private key the SSH agent holds; or ``agent:TEXT``, for the key of the
            agent with the fingerprint or comment TEXT.

    Raises:
        BadInputError: There is no such key, it is of another type than Ed25519 or has a passphrase,
            others may read the file, or the agent cannot be reached.
    """
    if name.startswith(_AGENT):
        wanted = name[len(_AGENT) :]
        return _in_agent(
            lambda key: wanted in (key.fingerprint, key.comment),
            f"with the fingerprint or comment {wanted!r}",
        )
    path = Path(name)
    try:
        content = read_regular(path, _MOST_BYTES)
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"Cannot read the key {name}: {getattr(error, 'strerror', None) or error}.",
            hint=f"{_MAKE}. For a key in your SSH agent: {parameter('key', f'{_AGENT}COMMENT')}",
        ) from error
    if is_public_key(content):
        (public, *others) = parse_public_keys(content, name)
        if others:
            raise BadInputError(
                f"Expected {name} to contain one key; found {1 + len(others)}.",
                hint="Name the file of one key.",
            )
        return _in_agent(
            lambda key: key == public,
            f"{public} of {path}",
            hint=f"Add its private key: ssh-add {shlex.quote(name.removesuffix('.pub'))}",
        )
    if mode & 0o077:
        raise BadInputError(
            f"Others may read or write the private key {path}: its permissions are "
            f"{mode & 0o777:04o}, and at most 0600 was expected.",
            hint=f"Let only its owner use it: chmod 600 {shlex.quote(name)}",
        )
    return _from_file(path, content)


def _from_file(path: Path, content: bytes) -> SigningKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    is_openssh = b" OPENSSH PRIVATE KEY-----" in content
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    try:
        key = load(content, None)
    except TypeError as error:  # there is a passphrase, and none was given
        raise BadInputError(
            f"The private key {path} has a passphrase. EdgeKit asks for none.",
            hint="Add it to your SSH agent and name it there: ssh-add "
            f"{shlex.quote(str(path))}, then edgekit sign BUNDLE --key "
            f"{shlex.quote(f'{path}.pub')}",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInputError(
            f"Expected {path} to be a private key of Ed25519, as OpenSSH or PEM; it cannot be "
            "read as one.",
            hint=_MAKE,
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_")
        raise BadInputError(
            f"Expected {path} to be a private key of Ed25519; found a key of type "
            f"{'ECDSA' if kind == 'EC' else kind}.",
            hint=_MAKE,
        )
    return SigningKey(PublicKey(key.public_key().public_bytes_raw()), key.sign)


def _in_agent(is_wanted: Callable[[PublicKey], bool], wanted: str, *, hint: str = "") -> SigningKey:
    with SshAgent() as agent:
        held = agent.identities()
    found = [key for key in held if is_wanted(key)]
    if len(found) != 1:
        example = held[0].fingerprint if held else "FINGERPRINT"
        hint = hint or f"Add it (ssh-add FILE), or name one: {parameter('key', _AGENT + example)}"
        raise BadInputError(
            f"Expected the SSH agent to hold one Ed25519 key {wanted}; found {len(found)}. Its "
            f"Ed25519 keys: {', '.join(map(str, held)) or 'none'}.",
            hint=hint,
        )
    (public,) = found

    def sign(message: bytes) -> bytes:
        with SshAgent() as agent:
            return agent.sign(public, message)

    return SigningKey(public, sign)
