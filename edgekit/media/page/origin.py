"""Where browsers find the page when a proxy stands before it: ``https://cam.example.com``."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from edgekit.errors import UsageError

__all__ = ["Origin", "parse_origin"]

_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Origin(NamedTuple):
    """Scheme, host and port, as browsers write them.

    Attributes:
        scheme: http or https.
        host: In lower case; an international name in its ASCII form, an IPv6 address in brackets.
        port: Also where it is that of the scheme.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """What the ``Host`` header of a request to it says."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def link(self, token: str = "") -> str:
        """What to type into a browser."""
        return f"{self}/" + (f"?token={quote(token, safe='')}" if token else "")


def parse_origin(text: str, option: str = "--public-origin") -> Origin:
    """Reads an origin; a slash at its end is left out.

    Args:
        text: As the user wrote it.
        option: Where the user wrote it.

    Raises:
        UsageError: It is none: another scheme, no host, or more than scheme, host and port.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
        host = _host(parts.hostname or "")
    except ValueError:
        raise _refusal(text, option) from None
    known = _PORTS.get(parts.scheme)
    more = parts.path.removeprefix("/") or parts.query or parts.fragment or "@" in parts.netloc
    if known is None or port == 0 or more or text.strip().endswith((":", "?", "#")):
        raise _refusal(text, option)
    return Origin(parts.scheme, host, port or known)


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


def _refusal(text: str, option: str) -> UsageError:
    return UsageError(
        f"{option} is '{text}'; a scheme and a host were expected, without a path.",
        mend=f"Name what browsers show: {option} https://cam.example.com",
    )
