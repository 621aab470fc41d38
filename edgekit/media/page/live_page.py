"""Provides the live page as a sink for each source of a run."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgekit.errors import MissingDependencyError
from edgekit.media.page.channel import Channel
from edgekit.media.serving.access import Door, check_token, new_token
from edgekit.media.serving.address import Address, is_loopback, listen, parse_address
from edgekit.media.serving.origin import parse_origin
from edgekit.media.serving.trusted_proxies import TrustedProxies
from edgekit.media.sinks.sink import Sink
from edgekit.pipeline.results import RunInfo

if TYPE_CHECKING:
    from edgekit.media.page.server import PageServer
    from edgekit.media.sinks.health import SinkHealth

__all__ = ["LivePage"]

_LOG = logging.getLogger(__name__)


class LivePage:
    """Serves a page on which runs can be watched while they last.

    A token is optional on the loopback interface. For any other address and behind a proxy, one is
    generated if none is given. The link with its token is reported once, when the first run starts.

    Args:
        address: ``HOST:PORT``, or a port alone for loopback.
        token: Token that viewers need; None to decide by the address.
        origins: Public origins behind a proxy, such as ``https://cam.example.com``.
        proxies: IP addresses and networks of proxies whose ``X-Forwarded-For`` header is believed.
        say: Function that gets each link as a line of text; the default logs it at level INFO.

    Raises:
        UsageError: The address, the token, an origin or a proxy is invalid.
        MissingDependencyError: The extra ``serve`` is not installed.
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        *,
        origins: Sequence[str] = (),
        proxies: Sequence[str] = (),
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._address = parse_address(address)
        self._token = None if token is None else check_token(token)
        self._origins = [parse_origin(origin) for origin in origins]
        self._proxies = TrustedProxies(proxies)
        self._say = say or _LOG.info
        self._lock = threading.Lock()
        self._sinks: list[_PageSink] = []
        self._listener: tuple[socket.socket, Address] | None = None
        self._make_server = _server_class()
        self.server: PageServer | None = None

    def sink(self, sinks: Callable[[], Sequence[SinkHealth]] = tuple) -> Sink:
        """Returns a new sink that shows a run on the page; each source needs its own.

        Sinks are numbered from 0. The page is served from the first ``start`` until all sinks are
        closed. ``start`` raises ``OutputError`` if the address cannot be used.

        Args:
            sinks: Function that returns the health of the run's other sinks.
        """
        with self._lock:
            sink = _PageSink(self, sinks)
            self._sinks.append(sink)
            if self.server is not None:
                self.server.add(sink)
        return sink

    def enter(self) -> None:
        """Registers the start of a source; the first one starts the server."""
        with self._lock:
            if self.server is None:
                self.server = self._start()

    def check(self) -> None:
        """Checks the address by listening on it, without answering requests."""
        with self._lock:
            self._listener = self._listener or listen(self._address)

    def leave(self) -> None:
        """Registers the end of a source; the last one stops the server."""
        with self._lock:
            if not all(sink.has_left for sink in self._sinks):
                return
            if self.server is not None:
                self.server.stop()
            elif self._listener is not None:
                self._listener[0].close()

    def _start(self) -> PageServer:
        listener, address = self._listener or listen(self._address)
        made = ""
        if self._token is None and (self._origins or not is_loopback(_bound(listener))):
            made = self._token = new_token()
        door = Door(self._token or "", address.host, self._origins, self._proxies)
        server = self._make_server(listener, door)
        for sink in self._sinks:
            server.add(sink)
        server.start()
        self._say(f"Live page: {address.link(made)}")
        for origin in self._origins:
            self._say(f"Through the proxy: {origin.link(made)}")
        return server


class _PageSink(Channel):
    def __init__(self, page: LivePage, sinks: Callable[[], Sequence[SinkHealth]]) -> None:
        super().__init__(sinks)
        self._page = page
        self.has_left = False

    def check(self) -> None:
        self._page.check()

    def start(self, info: RunInfo) -> None:
        super().start(info)
        self._page.enter()

    def close(self) -> None:
        super().close()
        if not self.has_left:
            self.has_left = True
            self._page.leave()


def _server_class() -> type[PageServer]:
    try:
        from edgekit.media.page.server import PageServer
    except ModuleNotFoundError as error:
        missing = error.name or "aiohttp"
        raise MissingDependencyError.for_extra(missing, "serve", "The live page") from error
    return PageServer


def _bound(listener: socket.socket) -> str:
    return str(listener.getsockname()[0])
