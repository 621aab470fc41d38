"""Parses HOST:PORT, opens the listening socket, and builds the link to the page."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import struct
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from edgekit._checks import as_instance
from edgekit._parameters import parameter
from edgekit.errors import OutputError, UsageError

__all__ = [
    "BACKLOG",
    "Address",
    "host_and_port",
    "is_loopback",
    "listen",
    "parse_address",
    "refusal",
]

BACKLOG = 1024
"""Number of connections that may wait to be accepted.

If a burst of one peer fills the queue, the system drops the first packet of all others, who send it
again after a second.
"""

_LOOPBACK = "127.0.0.1"
_ROUTES = Path("/proc/net/route")
_SIOCGIFADDR = 0x8915


class Address(NamedTuple):
    """Address to listen on.

    Attributes:
        host: Host name or IP address, without brackets.
        port: TCP port; 0 for any free port.
    """

    host: str
    port: int

    def link(self, token: str = "") -> str:
        """Returns the URL for a browser; a reachable host replaces a wildcard such as 0.0.0.0."""
        host = self.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - the user's choice, recognized here
            host = _own_address() or socket.gethostname()
        place = host_and_port(host, self.port)
        return f"http://{place}/" + (f"?token={quote(token, safe='')}" if token else "")


def host_and_port(host: str, port: int) -> str:
    """Returns ``HOST:PORT``, with an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str, option: str = "serve") -> Address:
    """Parses ``HOST:PORT``, ``[IPv6]:PORT``, ``:PORT`` or ``PORT``; the last two mean loopback.

    Args:
        text: Text that the user gave.
        option: Name of the parameter that holds the text, for messages.

    Raises:
        UsageError: The text has none of these forms.
    """
    text = as_instance(option, text, str, "text, HOST:PORT or a port")
    match = re.fullmatch(r"(?:(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]*):)?([0-9]{1,5})", text.strip())
    if match is None or int(match[2]) > 65535:
        raise UsageError(
            f"{parameter(option)} is '{text}'; HOST:PORT was expected, or a port from 0 to 65535 "
            "alone.",
            hint=f"For this machine only: {parameter(option, '8080')}. For others too: "
            f"{parameter(option, '0.0.0.0:8080')}",
        )
    return Address((match[1] or "").strip("[]") or _LOOPBACK, int(match[2]))


def is_loopback(host: str) -> bool:
    """Returns whether an IP address or ``localhost`` is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def listen(address: Address) -> tuple[socket.socket, Address]:
    """Returns a listening socket, and its address with the actual port.

    Raises:
        OutputError: The port is taken or reserved, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        server = socket.socket(family, kind, protocol)
    except OSError as error:
        raise refusal(address, error) from error
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(place)
        server.listen(BACKLOG)
        server.setblocking(False)
    except OSError as error:
        server.close()
        raise refusal(address, error) from error
    return server, address._replace(port=server.getsockname()[1])


def refusal(address: Address, error: OSError, option: str = "serve") -> OutputError:
    """Returns the error for an address on which this program cannot listen.

    Args:
        address: The address.
        error: Why that is impossible.
        option: Name of the parameter that holds the address: ``serve`` or ``metrics``.
    """
    what = "Metrics" if option == "metrics" else "The page"
    refused = f"{what} cannot be served at {host_and_port(*address)}"
    if error.errno == errno.EADDRINUSE:
        other = parameter(option, host_and_port(address.host, address.port % 65535 + 1))
        free = "" if option == "metrics" else ", or 0 for any free one"
        return OutputError(
            f"{refused}: another program has that port.",
            hint=f"Choose another port: {other}{free}.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return OutputError(
            f"{refused}: the system keeps that port for root.",
            hint=f"Choose a port from 1024 up: {parameter(option, '8080')}",
        )
    return OutputError(
        f"{refused}: {error.strerror or error}.",
        hint="Name an address of this machine, or all of them: "
        f"{parameter(option, '0.0.0.0:8080')}",
    )


def _own_address() -> str:
    """Returns the IPv4 address of the default route's interface; empty if there is none."""
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
