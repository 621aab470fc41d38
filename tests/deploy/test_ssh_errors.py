"""Tests what is told when ``ssh`` reaches no device, where no server can be made to say it."""

from __future__ import annotations

import pytest

from edgekit.deploy.ssh_errors import ssh_error


@pytest.mark.parametrize(
    ("said", "status", "message", "hint"),
    [
        (
            "Bad owner or permissions on /home/ann/.ssh/config",
            255,
            "Expected /home/ann/.ssh/config to belong to you",
            "chmod go-w /home/ann/.ssh/config",
        ),
        (
            "ssh: connect to host board port 22: No route to host",
            255,
            "Expected an SSH server on ann@board; found none: ssh: connect to host board port 22",
            "Check that the device is on and runs sshd: ssh ann@board",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\n"
            "Offending ED25519 key in /home/ann/my keys/known_hosts:1\r\n"
            "  remove with:\r\n"
            "Host key for [10.0.0.7]:2222 has changed and you have requested strict checking.\r\n"
            "Host key verification failed.\r\n",
            255,
            "Expected the host key of ann@board that known_hosts has; found another one",
            "forget the old key: ssh-keygen -f '/home/ann/my keys/known_hosts' -R "
            "'[10.0.0.7]:2222'",
        ),
        (
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!",
            255,
            "Expected the host key of ann@board that known_hosts has; found another one",
            "remove the old key from known_hosts",
        ),
        ("", None, "ssh did not end: ssh said nothing", "ssh ann@board python3 --version"),
        ("Killed", 137, "ssh ended with status 137: Killed", "ssh ann@board python3 --version"),
    ],
)
def test_reasons_and_remedies(said: str, status: int | None, message: str, hint: str) -> None:
    error = ssh_error("ann@board", said, status, python="python3")
    assert message in error.message
    assert error.hint is not None
    assert hint in error.hint
