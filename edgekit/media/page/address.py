"""Where the page is to be found: HOST:PORT, the socket there, and the link to it."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import struct
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from edgekit.errors import OutputError, UsageError

__all__ = ["Address", "is_loopback", "listen", "parse_address"]

_LOOPBACK = "127.0.0.1"
_ROUTES = Path("/proc/net/route")
_SIOCGIFADDR = 0x8915


class Address(NamedTuple):
    """Where to listen.

    Attributes:
        host: A name or an IP address, without brackets.
        port: 0 for any that is free.
    """

    host: str
    port: int

    def link(self, token: str = "") -> str:
        """What to type into a browser; for all addresses at once, one that others can reach."""
        host = self.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - the user's choice, recognized here
            host = _own_address() or socket.gethostname()
        if ":" in host:
            host = f"[{host}]"
        return f"http://{host}:{self.port}/" + (f"?token={quote(token, safe='')}" if token else "")


def parse_address(text: str, option: str = "--serve") -> Address:
    """Reads ``HOST:PORT``, ``[IPv6]:PORT``, ``:PORT`` or ``PORT``; the last two mean loopback.

    Args:
        text: As the user wrote it.
        option: Where the user wrote it.

    Raises:
        UsageError: It is none of these.
    """
    match = re.fullmatch(r"(?:(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]*):)?([0-9]{1,5})", text.strip())
    if match is None or int(match[2]) > 65535:
        raise UsageError(
            f"{option} is '{text}'; HOST:PORT was expected, or a port from 0 to 65535 alone.",
            mend=f"For this machine only: {option} 8080. For others too: {option} 0.0.0.0:8080",
        )
    return Address((match[1] or "").strip("[]") or _LOOPBACK, int(match[2]))


def is_loopback(host: str) -> bool:
    """Whether an IP address, or ``localhost``, is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def listen(address: Address) -> tuple[socket.socket, Address]:
    """A listening socket there, and the address with the port that it has got.

    Raises:
        OutputError: The port is taken or reserved, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        server = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refusal(address, error) from error
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(place)
        server.listen(128)
        server.setblocking(False)
    except OSError as error:
        server.close()
        raise _refusal(address, error) from error
    return server, address._replace(port=server.getsockname()[1])


def _refusal(address: Address, error: OSError) -> OutputError:
    host, port = address
    if error.errno == errno.EADDRINUSE:
        return OutputError(
            f"The page cannot be served at {host}:{port}: another program has that port.",
            mend=f"Choose another port: --serve {host}:{port % 65535 + 1}, or 0 for any free one.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return OutputError(
            f"The page cannot be served at {host}:{port}: the system keeps that port for root.",
            mend="Choose a port from 1024 up: --serve 8080",
        )
    reason = error.strerror or str(error)
    return OutputError(
        f"The page cannot be served at {host}:{port}: {reason}.",
        mend="Name an address of this machine, or all of them: --serve 0.0.0.0:8080",
    )


def _own_address() -> str:
    """IPv4 address of the interface that leads to other networks; empty where there is none."""
    try:
        import fcntl

        rows = [line.split() for line in _ROUTES.read_text().splitlines()[1:]]
        # The columns are interface, destination, gateway, flags, two counters and metric.
        ways = [(int(row[6]), row[0]) for row in rows if row[1] == "00000000"]
        request = struct.pack("256s", min(ways)[1].encode())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            return socket.inet_ntoa(fcntl.ioctl(probe, _SIOCGIFADDR, request)[20:24])
    except (ImportError, OSError, ValueError, IndexError):
        return ""
