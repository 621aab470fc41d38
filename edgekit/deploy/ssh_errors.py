"""Explains why ``ssh`` could not reach a device."""

from __future__ import annotations

import re
import shlex

from edgekit.errors import HostError

__all__ = ["ssh_error"]

_OTHER_KEY = (
    "Expected the host key of {host} that known_hosts has; found another one. Either the device "
    "was installed again, or somebody answers in its place."
)
_REASONS = (
    (
        # The name in the file is another one if ~/.ssh/config has an address or a port.
        r"Offending \S+ key in (?P<file>[^\n]+):\d+(?s:.*)host key for (?P<key>\S+) has changed",
        _OTHER_KEY,
        "If you know why it changed, forget the old key: ssh-keygen -f {file} -R {key}",
    ),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        _OTHER_KEY,
        "If you know why it changed, remove the old key from known_hosts.",
    ),
    (
        r"Host key verification failed|No \S+ host key is known",
        "Expected {host} to be a known host; found no host key of it.",
        "Connect once, and compare the fingerprint: ssh {host}",
    ),
    (
        r"Permissions (?P<mode>\d+) for '(?P<file>[^']+)' are too open",
        "Expected the private key {file} to be readable by its owner only; its permissions are "
        "{mode}, and so ssh does not use it.",
        "Let only its owner use it: chmod 600 {file}",
    ),
    (
        r"Bad owner or permissions on (?P<file>\S+)",
        "Expected {file} to belong to you, and nobody else to write to it; ssh refuses it.",
        "Let only its owner write to it: chmod go-w {file}",
    ),
    (
        r"Permission denied",
        "Expected a key that {host} accepts without asking for a password; found none.",
        "Add your key to the device: ssh-copy-id {host}; or load it into the agent: ssh-add",
    ),
    (
        r"Could not resolve hostname",
        "Expected {host} to be the name of a device; the name is not known.",
        "Check the name, and Host in ~/.ssh/config: ssh {host}",
    ),
    (
        r"Connection (refused|closed|reset)|timed out|No route to host|unreachable",
        "Expected an SSH server on {host}; found none: {said}.",
        "Check that the device is on and runs sshd: ssh {host}",
    ),
)


def ssh_error(host: str, said: str, status: int | None, *, python: str) -> HostError:
    """Returns the error for a connection that was not made.

    Args:
        host: SSH name of the device.
        said: Standard error of ``ssh``.
        status: Exit status of ``ssh``; None if it did not end.
        python: Name of the Python program that was called on the device.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = (lines or ["ssh said nothing"])[-1].rstrip(".")
    if status == 127:
        return HostError(
            f"Expected the program {python} on {host}; found none: {last}.",
            hint="Install Python 3.10 or newer on the device: sudo apt install python3",
        )
    for pattern, message, hint in _REASONS if status == 255 else ():
        if match := re.search(pattern, said, re.IGNORECASE):
            values = {"host": host, "said": last, **match.groupdict()}
            quoted = {name: shlex.quote(value) for name, value in values.items()}
            return HostError(message.format(**values), hint=hint.format(**quoted))
    how = "did not end" if status is None else f"ended with status {status}"
    return HostError(
        f"Expected {python} to answer on {host}; ssh {how}: {last}.",
        hint=f"Check that this works: ssh {host} {python} --version",
    )
