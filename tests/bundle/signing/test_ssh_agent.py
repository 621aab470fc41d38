"""Tests the connection to an SSH agent: a real one, and one that answers anything."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgekit.bundle.signing import ssh_agent
from edgekit.bundle.signing.public_keys import PublicKey, read_public_keys
from edgekit.bundle.signing.ssh_agent import SshAgent
from edgekit.errors import BadInputError

KEY = PublicKey(bytes(range(32)))


def packed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[None]:
    """Runs an agent that sends the same bytes to whoever connects, and closes the connection."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        place = f"{folder}/agent"
        server.bind(place)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SSH_AUTH_SOCK", place)
                yield
        finally:
            thread.join()


def test_a_real_agent(keys: Path, agent: Path) -> None:
    with SshAgent() as connection:
        assert [key.comment for key in connection.identities()] == ["ann@desk", "bob@desk"]
        (ann,) = read_public_keys(keys / "ann.pub")
        assert len(connection.sign(ann, b"text")) == 64


def test_an_agent_whose_user_refuses(keys: Path, agent: Path) -> None:
    subprocess.run(["ssh-add", "-q", "-c", keys / "ann"], check=True)
    (ann,) = read_public_keys(keys / "ann.pub")
    with SshAgent() as connection, pytest.raises(BadInputError, match="agent refused") as caught:
        connection.sign(ann, b"text")
    assert "denied" in caught.value.hint


def test_no_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(BadInputError, match="SSH_AUTH_SOCK is not set") as caught:
        SshAgent()
    assert "ssh-add" in caught.value.hint
    for place, why in (
        (tmp_path / "gone", "No such file"),
        (tmp_path, "refused|denied"),
        (tmp_path / ("long" * 50), "too long"),
    ):
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        with pytest.raises(BadInputError, match=f"No SSH agent can be reached: .*({why})"):
            SshAgent()


def test_an_agent_that_goes_away() -> None:
    closed = pytest.raises(BadInputError, match="it closed the connection")
    with answering(b""), SshAgent() as connection, closed:
        connection.identities()


def test_an_agent_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_agent, "_SECONDS", 0.1)
    silent = pytest.raises(BadInputError, match=r"did not answer within 0\.1 seconds")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/agent")
        server.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{folder}/agent")
        with SshAgent() as connection, silent as caught:
            connection.identities()
    assert "Confirm its question" in caught.value.hint


def test_an_answer_that_is_longer_than_those_of_openssh() -> None:
    wrong = pytest.raises(BadInputError, match="does not follow its protocol")
    size = 256 * 1024 + 1
    with answering(size.to_bytes(4, "big")), SshAgent() as connection, wrong:
        connection.identities()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"\x05", "agent refused"),
        (b"\x0e" + packed(packed(b"ssh-rsa", bytes(64))), "does not follow its protocol"),
        (b"\x0e" + packed(packed(b"ssh-ed25519")), "does not follow its protocol"),
    ],
    ids=["refused", "another type", "cut"],
)
def test_an_answer_that_is_no_signature_of_the_key(answer: bytes, why: str) -> None:
    wrong = pytest.raises(BadInputError, match=why)
    with answering(packed(answer)), SshAgent() as connection, wrong:
        connection.sign(KEY, b"text")


@given(st.binary(max_size=60))
@example(b"\x0c" + (1).to_bytes(4, "big") + packed(b"ssh-rsa", b"comment"))
@example(b"\x0c\xff\xff\xff\xff")
@example(b"\x0e" + packed(packed(b"ssh-rsa", bytes(64))))
@example(b"\x05")
def test_any_answer(answer: bytes) -> None:
    for framed in (answer, packed(answer)):
        with answering(framed), SshAgent() as connection, contextlib.suppress(BadInputError):
            assert all(len(key.raw) == 32 for key in connection.identities())
        with answering(framed), SshAgent() as connection, contextlib.suppress(BadInputError):
            assert isinstance(connection.sign(KEY, b"text"), bytes)
