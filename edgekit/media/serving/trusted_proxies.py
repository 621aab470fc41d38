"""Decides whose ``X-Forwarded-For`` headers are believed: those of proxies that the user named."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from edgekit._parameters import parameter
from edgekit.errors import UsageError

__all__ = ["TrustedProxies"]


class TrustedProxies:
    """Addresses of the proxies in front of the page.

    Args:
        names: IP addresses, and networks such as ``10.0.0.0/24``.

    Raises:
        UsageError: A text is neither an IP address nor a network.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._networks = [_network(name) for name in names]

    def __contains__(self, peer: str) -> bool:
        """Returns whether an IP address belongs to a trusted proxy; other text never does."""
        address = _address(peer)
        forms = {address, getattr(address, "ipv4_mapped", None)} - {None}
        return any(form in network for form in forms for network in self._networks)

    def client_of(self, remote: str, forwarded: str) -> str:
        """Returns the IP address of the client that sent a request.

        Args:
            remote: IP address of the connection.
            forwarded: ``X-Forwarded-For`` header, or empty text. The proxy adds the last entry; its
                client may have made up the others.
        """
        last = forwarded.rpartition(",")[2].strip()
        return last if remote in self and _address(last) is not None else remote


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(name.strip())
    except ValueError:
        raise UsageError(
            f"{parameter('trusted_proxy')} is '{name}'; an IP address or a network was expected.",
            hint="Name the address that the proxy connects from: "
            f"{parameter('trusted_proxy', '127.0.0.1')}, or its network: "
            f"{parameter('trusted_proxy', '10.0.0.0/24')}",
        ) from None
