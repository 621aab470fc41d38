"""Parses the public origin of a page behind a proxy, such as ``https://cam.example.com``."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from edgekit._parameters import parameter
from edgekit.errors import UsageError

__all__ = ["WebOrigin", "parse_origin"]

_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class WebOrigin(NamedTuple):
    """Scheme, host and port, in the form that browsers send.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Host in lower case; international names in ASCII form, IPv6 addresses in brackets.
        port: TCP port, even if it is the scheme's default.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """``Host`` header of a request to this origin."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def link(self, token: str = "") -> str:
        """Returns the URL for a browser."""
        return f"{self}/" + (f"?token={quote(token, safe='')}" if token else "")


def parse_origin(text: str) -> WebOrigin:
    """Parses an origin; a final slash is ignored.

    Args:
        text: Text that the user gave.

    Raises:
        UsageError: The text has another scheme, no host, or more than scheme, host and port.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = _host(parts.hostname or "")
    except ValueError:
        raise _refusal(text) from None
    known = _PORTS.get(parts.scheme)
    more = parts.path.removeprefix("/") or parts.query or parts.fragment or "@" in parts.netloc
    if known is None or port == 0 or more or text.strip().endswith((":", "?", "#")):
        raise _refusal(text)
    return WebOrigin(parts.scheme, host, port or known)


def _host(name: str) -> str:
    if ":" in name:
        return f"[{ipaddress.IPv6Address(name).compressed}]"
    name = name.encode("idna").decode() if not name.isascii() else name
    labels = name.lower().split(".")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(name)
    if labels[-1].isdecimal():
        return str(ipaddress.IPv4Address(name))
    return name.lower()


def _refusal(text: str) -> UsageError:
    return UsageError(
        f"{parameter('public_origin')} is '{text}'; a scheme and a host were expected, without a "
        "path.",
        hint=f"Name what browsers show: {parameter('public_origin', 'https://cam.example.com')}",
    )
