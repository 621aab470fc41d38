"""Asks the user's SSH agent for its keys and for signatures (draft-ietf-sshm-ssh-agent)."""

from __future__ import annotations

import os
import socket
from typing import Final

from edgekit._closing import Closing
from edgekit.bundle.signing.public_keys import KEY_TYPE, PublicKey
from edgekit.errors import BadInputError

__all__ = ["SshAgent"]

_VARIABLE = "SSH_AUTH_SOCK"
_LIST, _LISTED, _SIGN, _SIGNED = 11, 12, 13, 14
_MOST_BYTES = 256 * 1024
"""Longest message of OpenSSH's own agent."""

_SECONDS: Final = 120
"""An agent may ask its user to confirm, and waits meanwhile."""


class SshAgent(Closing):
    """A connection to the SSH agent of this session.

    Raises:
        BadInputError: No agent can be reached.
    """

    def __init__(self) -> None:
        place = os.environ.get(_VARIABLE, "")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        try:
            if not place:
                raise FileNotFoundError(f"the environment variable {_VARIABLE} is not set")
            self._socket.connect(place)
        except OSError as error:
            self._socket.close()
            raise BadInputError(
                f"No SSH agent can be reached: {error.strerror or error}"
                f"{f' ({place})' if place else ''}.",
                hint='Start one and add the key: eval "$(ssh-agent)" && ssh-add FILE',
            ) from error

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def identities(self) -> list[PublicKey]:
        """Returns the Ed25519 keys that the agent holds, with their comments.

        Raises:
            BadInputError: The agent does not answer, or its answer is damaged.
        """
        answer = _MessageReader(self._ask(bytes([_LIST]), _LISTED))
        found = []
        for _ in range(answer.number()):
            blob, comment = answer.string(), answer.string().decode(errors="replace")
            try:
                found.append(PublicKey.from_blob(blob, comment))
            except ValueError:  # a key of another type
                continue
        return found

    def sign(self, key: PublicKey, message: bytes) -> bytes:
        """Returns the signature of a message by a key that the agent holds.

        Raises:
            BadInputError: The agent refuses, for example because its user does, or its answer is
                damaged.
        """
        request = bytes([_SIGN]) + _string(key.blob) + _string(message) + bytes(4)
        answer = _MessageReader(_MessageReader(self._ask(request, _SIGNED)).string())
        if answer.string() != KEY_TYPE.encode():
            raise _damaged()
        return answer.string()

    def _ask(self, request: bytes, expected: int) -> bytes:
        """Returns the content of the agent's answer of the expected type."""
        try:
            self._socket.sendall(_string(request))
            size = int.from_bytes(self._receive(4), "big")
            if not 0 < size <= _MOST_BYTES:
                raise _damaged()
            answer = self._receive(size)
        except TimeoutError as error:
            raise BadInputError(
                f"The SSH agent did not answer within {_SECONDS} seconds.",
                hint="Confirm its question, or check whether it runs: ssh-add -l",
            ) from error
        except OSError as error:
            raise BadInputError(
                f"The connection to the SSH agent failed: {error.strerror or error}.",
                hint="Check whether it runs: ssh-add -l",
            ) from error
        if answer[0] != expected:
            raise BadInputError(
                "The SSH agent refused.",
                hint="It may be locked (ssh-add -X unlocks it), or its user denied the request.",
            )
        return answer[1:]

    def _receive(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            part = self._socket.recv(count - len(received))
            if not part:
                raise ConnectionResetError("it closed the connection")
            received += part
        return received


class _MessageReader:
    """Reads the numbers and strings of a message."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def number(self) -> int:
        """Returns the next number."""
        return int.from_bytes(self._next(4), "big")

    def string(self) -> bytes:
        """Returns the next string."""
        return self._next(self.number())

    def _next(self, count: int) -> bytes:
        if count > len(self._content):
            raise _damaged()
        found, self._content = self._content[:count], self._content[count:]
        return found


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


def _damaged() -> BadInputError:
    return BadInputError(
        "The answer of the SSH agent does not follow its protocol.",
        hint="Check whether it works: ssh-add -l",
    )
