"""Runs a command under strace: shows its addresses, name lookups and new files."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edgekit.errors import MissingDependencyError

__all__ = ["Trace", "created", "network", "traced"]

_NETWORK = ("socket", "connect", "listen", "sendto", "sendmsg", "sendmmsg")
_FILES = (
    *("open", "openat", "openat2", "creat", "mkdir", "mkdirat", "mknod", "mknodat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
)
_CALL = re.compile(r"^(\d+ +)?(\w+)\((.*?)(<unfinished \.\.\.>)?$")
_REST = re.compile(r"^(\d+ +)?<\.\.\. \w+ resumed>(.*)")
_INTERNET = re.compile(
    r"sa_family=AF_INET6?,.*?port=htons\((\d+)\).*?"
    r'(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")'
)
_LISTENING = re.compile(r"<(?:TCP|TCPv6|UDP|UDPv6):\[(.*:\d+)\]>")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"')
_RESOLVERS = {53, 853, 5353, 5355}
"""Ports of DNS, DNS over TLS, mDNS and LLMNR."""

_NAME_SERVICES = ("resolve", "avahi", "nss")
"""Parts of the socket paths of services that look up names for others."""

_HOSTS = "/etc/hosts"
"""File that the C library reads only before it asks a name server."""


class Trace(NamedTuple):
    """Actions of a command and all its processes.

    Attributes:
        status: Exit status of the command.
        said: Standard output and standard error.
        sockets: Number of internet sockets that were created, loopback included.
        strangers: Addresses beyond loopback that it sent to, or at which others could connect.
        families: Other kinds of sockets, without those to the kernel and on this machine.
        lookups: Number of attempts to look up a name.
        left: Files and folders that the command created and that still exist.
    """

    status: int
    said: str
    sockets: int
    strangers: tuple[str, ...]
    families: tuple[str, ...]
    lookups: int
    left: tuple[Path, ...]


def traced(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Trace:
    """Runs a command under strace, and returns what it did.

    Raises:
        MissingDependencyError: strace is not installed.
    """
    with tempfile.NamedTemporaryFile("r", errors="replace") as journal:
        calls = ",".join(_NETWORK + _FILES)
        strace = ["strace", "-f", "-qq", "-yy", "--seccomp-bpf", "-s", "200", "-o", journal.name]
        try:
            done = subprocess.run(
                [*strace, "-e", f"trace={calls}", "--", *command],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise MissingDependencyError(
                "Watching system calls needs the command strace, which is not installed.",
                hint="Run: sudo apt install strace",
            ) from error
        lines = journal.read().splitlines()
    left = tuple(sorted(path for path in created(lines, cwd) if os.path.lexists(path)))
    return Trace(done.returncode, done.stdout + done.stderr, *network(lines), left)


def network(lines: Iterable[str]) -> tuple[int, tuple[str, ...], tuple[str, ...], int]:
    """Returns sockets, strangers, families and lookups of ``Trace``, from lines of strace."""
    sockets = lookups = 0
    strangers: set[str] = set()
    families: set[str] = set()
    for name, arguments in _calls(lines):
        if name == "socket":
            family = arguments.partition(",")[0]
            sockets += family in ("AF_INET", "AF_INET6")
            if family not in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"):
                families.add(family)
        elif name in _FILES:
            lookups += f'"{_HOSTS}"' in arguments
        elif name == "listen":
            strangers.update(filter(_is_open, _LISTENING.findall(arguments)))
        else:
            local = re.search(r'sun_path=@?"([^"]*)"', arguments)
            lookups += bool(local and any(part in local[1] for part in _NAME_SERVICES))
            for port, four, six in _INTERNET.findall(arguments):
                lookups += int(port) in _RESOLVERS
                if not _is_loopback(four or six):
                    strangers.add(f"{four or six}:{port}")
    return sockets, tuple(sorted(strangers)), tuple(sorted(families)), lookups


def created(lines: Iterable[str], cwd: Path) -> set[Path]:
    """Returns paths of files, folders and links that were created or opened for writing."""
    found = set()
    for name, arguments in _calls(lines):
        opens = name in ("open", "openat", "openat2")
        if name not in _FILES or " = -1 E" in arguments or (opens and "O_CREAT" not in arguments):
            continue
        paths = _PATH.findall(arguments)
        if not paths:  # an invalid address in memory
            continue
        folder, path = paths[-1] if name.startswith(("rename", "link", "symlink")) else paths[0]
        path = path.encode().decode("unicode_escape").encode("latin-1").decode(errors="replace")
        place = Path(os.path.normpath(Path(cwd, folder, path)))
        if not place.is_relative_to("/proc"):
            found.add(place)
    return found


def _calls(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yields names, and arguments with results; calls split by other threads are joined."""
    begun: dict[str | None, tuple[str, str]] = {}
    for line in lines:
        if match := _CALL.match(line):
            thread, name, arguments, unfinished = match.groups()
            if unfinished:
                begun[thread] = name, arguments
            else:
                yield name, arguments
        elif (match := _REST.match(line)) and match[1] in begun:
            name, arguments = begun.pop(match[1])
            yield name, arguments + match[2]
    yield from begun.values()


def _is_open(place: str) -> bool:
    """Returns whether others could connect to ``ADDRESS:PORT``."""
    return not _is_loopback(place.rpartition(":")[0].strip("[]"))


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
