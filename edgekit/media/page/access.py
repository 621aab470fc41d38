"""Who may see the page: a token, the cookie that stands for it, and a limit on guesses.

Nothing here knows of HTTP beyond the values of a few headers.
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

from edgekit.errors import UsageError
from edgekit.media.page.address import is_loopback
from edgekit.media.page.origin import Origin

__all__ = ["Door", "FailureLimit", "Verdict", "check_token", "network_of", "new_token"]

_SHORTEST = 8
_FAILURES = 10
_WINDOW = 60.0
_MOST_PEERS = 1024
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses as NAT64 shows them (RFC 6052)."""


class Verdict(enum.Enum):
    """What becomes of a request."""

    ADMITTED = "admitted"
    NO_TOKEN = "no token"  # noqa: S105 - words, no token
    WRONG_TOKEN = "wrong token"  # noqa: S105 - words, too
    TOO_MANY_FAILURES = "too many failures"
    UNKNOWN_NAME = "unknown name"


def new_token() -> str:
    """A token that cannot be guessed, of characters that a link may have."""
    return secrets.token_urlsafe(18)


def check_token(token: str) -> str:
    """The token, if it can be one.

    Raises:
        UsageError: It is too short to be safe, or has other than visible ASCII characters.
    """
    if len(token) < _SHORTEST or not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(
            f"--token has to be at least {_SHORTEST} visible ASCII characters without spaces.",
            mend="Leave it out to have one made, or make one: openssl rand -hex 16",
        )
    return token


class FailureLimit:
    """Counts each peer's wrong guesses: after ten in a minute it has to wait.

    The same guess counts once: a page that was left open repeats the cookie of an earlier run, and
    tells an attacker nothing by that. The table is bounded; where it overflows, the peer whose last
    failure is longest ago goes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, dict[bytes, float]] = OrderedDict()

    def is_blocked(self, peer: str) -> bool:
        """Whether a peer, an IP address, has failed too often of late."""
        return len(self._recent(network_of(peer))) >= _FAILURES

    def count(self, peer: str, guess: bytes) -> None:
        """Notes a failure of a peer."""
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
    """Decides who comes in.

    A name in the ``Host`` header that is not ours is refused to whoever has no token: a page from
    elsewhere whose name was made to lead here (DNS rebinding) would send it.

    Where a proxy stands before the page, its origin is ours too, and a proxy on this machine is
    believed about who asked it.

    Args:
        token: What has to be shown; empty where nothing has to.
        host: Where the page is served, as it was asked for.
        origins: Where browsers find the page, through a proxy.
    """

    def __init__(self, token: str, host: str, origins: Sequence[Origin] = ()) -> None:
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
        """Stands for the token in the browser, and does not tell it."""

    @property
    def is_proxied(self) -> bool:
        """Whether a proxy stands before the page."""
        return bool(self._origins)

    def is_from_the_page(self, origin: str | None, host: str) -> bool:
        """Whether a WebSocket is opened by the page itself, or by no page.

        Args:
            origin: Its ``Origin`` header; None where it has none, which no browser leaves out.
            host: Its ``Host`` header.
        """
        return origin is None or origin.partition("://")[2] == host or origin in self._origins

    def is_secure(self, host: str) -> bool:
        """Whether a ``Host`` header is of a request that reached the proxy by TLS."""
        origin = self._public.get(host.lower())
        return origin is not None and origin.scheme == "https"

    def peer_of(self, remote: str, forwarded: str | None) -> str:
        """The IP address that a request comes from.

        Args:
            remote: Of its connection.
            forwarded: Its ``X-Forwarded-For`` header, whose last entry a proxy adds.
        """
        last = (forwarded or "").rpartition(",")[2].strip()
        return last if self._origins and is_loopback(remote) and _is_address(last) else remote

    def judge(self, *, peer: str, host: str, shown: str | None, cookie: str | None) -> Verdict:
        """Decides on a request.

        Args:
            peer: IP address that it comes from.
            host: Its ``Host`` header.
            shown: The token that it shows; None where it shows none.
            cookie: The cookie that it brings; None where it brings none.
        """
        if not self._token:
            return Verdict.ADMITTED if self._is_ours(host) else Verdict.UNKNOWN_NAME
        if shown is None and cookie is None:
            return Verdict.NO_TOKEN if self._is_ours(host) else Verdict.UNKNOWN_NAME
        if self._limit.is_blocked(peer):
            return Verdict.TOO_MANY_FAILURES
        # Both are always compared, so that the time tells nothing about either.
        guess, crumb = _bytes(shown), _bytes(cookie)
        right = hmac.compare_digest(guess, self._token)
        known = hmac.compare_digest(crumb, self.cookie.encode())
        if right or (known and shown is None):
            return Verdict.ADMITTED
        self._limit.count(peer, crumb if shown is None else guess)
        return Verdict.WRONG_TOKEN

    def may_ask_health(self, *, remote: str, forwarded: bool, host: str) -> bool:
        """Whether a request without a token may ask how the run is: one from this machine.

        Args:
            remote: IP address of its connection.
            forwarded: Whether a header says that it was passed on for somebody else, who may be
                anywhere whatever the header says.
            host: Its ``Host`` header.
        """
        own = is_loopback(remote) and not forwarded
        return own and self._is_ours(host) and host.lower() not in self._public

    def _is_ours(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower().rstrip(".")
        if name in self._names or is_loopback(name):
            return True
        # A bare address cannot be rebound; without a token only loopback is served anyway.
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
    """What counts as one peer: an IPv4 address, or the network of an IPv6 one.

    An IPv4 address that comes as an IPv6 one is that IPv4 address: all of them share a network.

    Args:
        peer: An IP address; anything else is its own network.
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
