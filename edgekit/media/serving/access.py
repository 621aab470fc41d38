"""Decides who may see the live page: by a token, its cookie, and a limit on wrong guesses.

The module knows nothing of HTTP except the values of a few headers.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from edgekit._parameters import parameter
from edgekit.errors import UsageError
from edgekit.media.serving.address import is_loopback
from edgekit.media.serving.origin import WebOrigin
from edgekit.media.serving.trusted_proxies import TrustedProxies

__all__ = ["Door", "FailureLimit", "Verdict", "check_token", "network_of", "new_token"]

_SHORTEST = 8
_FAILURES = 10
_WINDOW = 60.0
_MOST_PEERS = 1024
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv6 network in which NAT64 represents IPv4 addresses (RFC 6052)."""


class Verdict(enum.Enum):
    """Decision about a request."""

    ADMITTED = "admitted"
    NO_TOKEN = "no token"  # noqa: S105 - words, no token
    WRONG_TOKEN = "wrong token"  # noqa: S105 - words, too
    TOO_MANY_FAILURES = "too many failures"
    UNKNOWN_NAME = "unknown name"


def new_token() -> str:
    """Returns a random token of characters that are safe in a URL."""
    return secrets.token_urlsafe(18)


def check_token(token: str) -> str:
    """Returns the token if it is acceptable.

    Raises:
        UsageError: The token is too short to be safe, or has spaces or characters that are not
            visible ASCII.
    """
    if len(token) < _SHORTEST or not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(
            f"{parameter('token')} has to be at least {_SHORTEST} visible ASCII characters without "
            "spaces.",
            hint="Leave it out to have one made, or make one: openssl rand -hex 16",
        )
    return token


class FailureLimit:
    """Counts wrong guesses of each peer: after ten within a minute, the peer has to wait.

    Repeating a guess counts once. A page that was left open repeats the cookie of an earlier run,
    and repetition shows an attacker nothing. The table is bounded: when it is full, the peer whose
    last failure is oldest is forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, dict[bytes, float]] = OrderedDict()

    def is_blocked(self, peer: str) -> bool:
        """Returns whether a peer, given by IP address, has recently failed too often."""
        return len(self._recent(network_of(peer))) >= _FAILURES

    def count(self, peer: str, guess: bytes) -> None:
        """Records a failure of a peer."""
        key = network_of(peer)
        recent = self._recent(key)
        recent.setdefault(hashlib.sha256(guess).digest(), self._clock())
        self._failures[key] = recent
        self._failures.move_to_end(key)
        while len(self._failures) > _MOST_PEERS:
            self._failures.popitem(last=False)

    def _recent(self, key: str) -> dict[bytes, float]:
        begin = self._clock() - _WINDOW
        failures = self._failures.get(key, {})
        return {guess: moment for guess, moment in failures.items() if moment > begin}


class Door:
    """Decides which requests are admitted.

    Without a token, a request is refused if its ``Host`` header has an unknown name. A foreign page
    whose name was made to resolve to this machine (DNS rebinding) would send such a name.

    Behind a proxy, the public origin counts as known too.

    Args:
        token: Required token; empty if none is required.
        host: Host at which the page is served, as the user gave it.
        origins: Public origins of the page behind a proxy.
        proxies: Proxies whose X-Forwarded-For header is trusted.
    """

    def __init__(
        self,
        token: str,
        host: str,
        origins: Sequence[WebOrigin] = (),
        proxies: TrustedProxies | None = None,
    ) -> None:
        self._origins = frozenset(map(str, origins))
        self._public = {origin.authority: origin for origin in origins}
        self._token = token.encode()
        self._limit = FailureLimit()
        own = socket.gethostname().lower()
        self._names = {"localhost", host.lower(), own, f"{own}.local"}
        if not token:
            self._names = {"localhost"}
        self._names |= {origin.host.strip("[]") for origin in origins}
        digest = hmac.new(self._token, b"edgekit live page", hashlib.sha256)
        self.cookie = digest.hexdigest()
        """Cookie value that represents the token in the browser without revealing it."""
        self.proxies = proxies or TrustedProxies()

    def is_from_the_page(self, origin: str | None, host: str) -> bool:
        """Returns whether a WebSocket was opened by the page itself or by a program without a page.

        Args:
            origin: ``Origin`` header; None if absent, which never happens in a browser.
            host: ``Host`` header.
        """
        return origin is None or origin.partition("://")[2] == host or origin in self._origins

    def is_secure(self, host: str) -> bool:
        """Returns whether a ``Host`` header belongs to a request that reached the proxy by TLS."""
        origin = self._public.get(host.lower())
        return origin is not None and origin.scheme == "https"

    def check(self, *, peer: str, host: str, shown: str | None, cookie: str | None) -> Verdict:
        """Decides about a request.

        Args:
            peer: IP address of the client.
            host: ``Host`` header.
            shown: Token in the request; None if there is none.
            cookie: Cookie in the request; None if there is none.
        """
        if not self._token:
            return Verdict.ADMITTED if self._is_ours(host) else Verdict.UNKNOWN_NAME
        if shown is None and cookie is None:
            return Verdict.NO_TOKEN if self._is_ours(host) else Verdict.UNKNOWN_NAME
        if self._limit.is_blocked(peer):
            return Verdict.TOO_MANY_FAILURES
        # Always compare both, so that the duration reveals nothing about either.
        guess, crumb = _bytes(shown), _bytes(cookie)
        right = hmac.compare_digest(guess, self._token)
        known = hmac.compare_digest(crumb, self.cookie.encode())
        if right or (known and shown is None):
            return Verdict.ADMITTED
        self._limit.count(peer, crumb if shown is None else guess)
        return Verdict.WRONG_TOKEN

    def may_ask_health(self, *, remote: str, forwarded: bool, host: str) -> bool:
        """Returns whether a request without a token may read the health: only from this machine.

        Args:
            remote: IP address of the connection.
            forwarded: Whether a header shows that the request was forwarded. Its client may be
                anywhere, whatever the header says.
            host: ``Host`` header.
        """
        own = is_loopback(remote) and not forwarded
        return own and self._is_ours(host) and host.lower() not in self._public

    def _is_ours(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower().rstrip(".")
        if name in self._names or is_loopback(name):
            return True
        # DNS rebinding cannot use a bare IP address; without a token, only loopback is served
        # anyway.
        return bool(self._token) and _is_address(name)


def _bytes(text: str | None) -> bytes:
    return (text or "").encode(errors="replace")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def network_of(peer: str) -> str:
    """Returns what counts as one peer: an IPv4 address, or the /64 network of an IPv6 address.

    An IPv4 address in IPv6 form counts as that IPv4 address, because all of them share one network.

    Args:
        peer: IP address; other text is returned unchanged.
    """
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    inner = address.ipv4_mapped
    if inner is None and address in _TRANSLATED:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return str(inner)
    return str(ipaddress.ip_network(f"{peer.split('%')[0]}/64", strict=False))
