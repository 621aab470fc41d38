"""Serves HTTP and WebSockets of the page on one port, in its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections import Counter
from typing import Any

from aiohttp import web

from edgekit.media.page.broadcast import Broadcast
from edgekit.media.page.channel import Channel
from edgekit.media.page.site import LOG, Site
from edgekit.media.serving.access import Door, network_of
from edgekit.media.serving.address import BACKLOG, is_loopback
from edgekit.media.serving.descriptors import most_descriptors
from edgekit.media.serving.headers import HEADERS
from edgekit.media.serving.trusted_proxies import TrustedProxies

__all__ = ["PageServer"]

_MOST_CONNECTIONS = 512
_MOST_OF_PEER = 160
"""Largest number of connections per peer: its viewers, and further requests of browsers."""

_FOR_THIS_MACHINE = 32
"""Number of connections reserved for health requests from this machine."""

_LOOP_DESCRIPTORS = 3
_FIRST_REQUEST_SECONDS = 10.0
_REQUEST_SECONDS = 20.0
_HANDLING: dict[str, Any] = {
    "access_log": None,
    "logger": LOG,
    "keepalive_timeout": _REQUEST_SECONDS,
    "lingering_time": 1.0,
}
_TICK = 0.25
_FAREWELL_SECONDS = 0.5
_JOIN_SECONDS = 2.0


class _PageHandler(web.RequestHandler):
    """Handles HTTP on one connection; malformed requests get the common headers too."""

    def handle_error(self, *args: Any, **more: Any) -> web.StreamResponse:
        """Returns the response to a malformed request, or to one that caused an error."""
        response = super().handle_error(*args, **more)
        answer = web.Response(
            status=response.status, text="That request cannot be answered.\n", headers=HEADERS
        )
        answer.force_close()
        return answer


class _Newcomer(asyncio.Protocol):
    """A new connection: a handler, which costs far more, is only created if there is room."""

    def __init__(self, connections: _Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self._connections.has_room(transport):
            transport.abort()
            return
        handler = self._connections.new_handler()
        transport.set_protocol(handler)
        handler.connection_made(transport)


class _Connections(web.Server):
    """Limits connections in total and per peer, and closes silent ones.

    A trusted proxy has no limit per peer, because its connections belong to its clients.
    """

    def __init__(
        self, site: Site, loop: asyncio.AbstractEventLoop, proxies: TrustedProxies
    ) -> None:
        super().__init__(self._answer, loop=loop)
        self._site = site
        self._proxies = proxies
        self._peers: dict[Any, str] = {}
        self._count: Counter[str] = Counter()
        self._silent: dict[Any, asyncio.TimerHandle] = {}

    def __call__(self) -> Any:
        """Returns the protocol of the next connection."""
        return _Newcomer(self)

    def new_handler(self) -> web.RequestHandler:
        """Returns a handler for an accepted connection."""
        return _PageHandler(self, loop=self._loop, **_HANDLING)

    def has_room(self, transport: asyncio.Transport) -> bool:
        """Returns whether a new connection may stay."""
        remote = _remote(transport)
        here = is_loopback(remote)
        most = _MOST_CONNECTIONS - (0 if here else _FOR_THIS_MACHINE)
        crowd = self._count[network_of(remote)] >= _MOST_OF_PEER and remote not in self._proxies
        place = transport.get_extra_info("socket").fileno()
        return len(self.connections) < most and not crowd and place < most_descriptors()

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Counts the connection, and closes it if no request comes."""
        super().connection_made(handler, transport)
        peer = self._peers[handler] = network_of(_remote(transport))
        self._count[peer] += 1
        self._silent[handler] = self._loop.call_later(_FIRST_REQUEST_SECONDS, transport.abort)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """Forgets the connection."""
        super().connection_lost(handler, exc)
        peer = self._peers.pop(handler)
        self._count[peer] -= 1
        if not self._count[peer]:
            del self._count[peer]
        self._has_spoken(handler)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._has_spoken(request.protocol)
        return await self._site.answer(request)

    def _has_spoken(self, handler: Any) -> None:
        if timer := self._silent.pop(handler, None):
            timer.cancel()


def _remote(transport: asyncio.Transport) -> str:
    return str(transport.get_extra_info("peername", ("",))[0])


def _new_loop(listener: socket.socket) -> asyncio.AbstractEventLoop:
    """Returns an event loop; without enough descriptors for it, asyncio prints a traceback."""
    with contextlib.ExitStack() as stack:
        for _ in range(_LOOP_DESCRIPTORS):
            stack.callback(os.close, os.dup(listener.fileno()))
    return asyncio.new_event_loop()


class PageServer:
    """Serves channels until it is stopped.

    Args:
        listener: Listening socket, which the server closes at the end.
        door: Access control.
    """

    def __init__(self, listener: socket.socket, door: Door) -> None:
        self._listener = listener
        self._door = door
        self._channels: dict[Channel, Broadcast] = {}
        self._loop = _new_loop(listener)
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name="edgekit-page", daemon=True)

    @property
    def encoded(self) -> int:
        """Number of pictures encoded so far."""
        return sum(broadcast.encoded for broadcast in self._channels.values())

    @property
    def viewers(self) -> int:
        """Number of current viewers."""
        return sum(len(broadcast.viewers) for broadcast in self._channels.values())

    def add(self, channel: Channel) -> None:
        """Adds a channel to serve."""
        broadcast = Broadcast(channel, self._loop, self._sources)
        # A new mapping each time, so that other threads can iterate over the old one.
        self._channels = {**self._channels, channel: broadcast}
        channel.on_frame = broadcast.poke

    def start(self) -> None:
        """Starts the server, and returns when it accepts connections.

        Raises:
            Exception: The server cannot start, for example for lack of file descriptors.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Informs the viewers that the run is over, and stops within two seconds."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_JOIN_SECONDS)

    def _sources(self) -> list[dict[str, Any]]:
        channels = list(self._channels)
        return [channel.brief() for channel in channels] if len(channels) > 1 else []

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        except Exception as error:
            self._failure = error
            if self._ready.is_set():
                LOG.warning("The live page has ended, and the run goes on without it: %r", error)
        finally:
            self._ready.set()
            self._listener.close()
            self._loop.close()

    async def _main(self) -> None:
        self._loop.set_exception_handler(lambda loop, context: LOG.debug("%s", context))
        port = self._listener.getsockname()[1]
        site = Site(self._door, port, lambda: self._channels)
        connections = _Connections(site, self._loop, self._door.proxies)
        runner = web.ServerRunner(connections, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._listener, backlog=BACKLOG).start()
        self._ready.set()
        while not self._stopping.is_set():
            for broadcast in self._channels.values():
                broadcast.tick()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK)
        for broadcast in self._channels.values():
            broadcast.finish()
        end = self._loop.time() + _FAREWELL_SECONDS
        while self.viewers and self._loop.time() < end:
            await asyncio.sleep(0.02)
        await runner.cleanup()
