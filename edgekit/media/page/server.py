"""The server of the page: HTTP and WebSockets on one port, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from typing import Any

from aiohttp import web

from edgekit.media.page.access import Door
from edgekit.media.page.broadcast import Broadcast
from edgekit.media.page.channel import Channel
from edgekit.media.page.site import LOG, Site

__all__ = ["PageServer"]

_MOST_CONNECTIONS = 512
_SPARE_DESCRIPTORS = 16
"""For files, clips and brokers, which matter more than viewers."""

_REQUEST_SECONDS = 20.0
_TICK = 0.25
_FAREWELL_SECONDS = 0.5
_JOIN_SECONDS = 2.0


class _Connections(web.Server):
    """Takes a bounded number of connections; one that asks for nothing is closed in the end."""

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            site.answer,
            loop=loop,
            access_log=None,
            logger=LOG,
            keepalive_timeout=_REQUEST_SECONDS,
            lingering_time=1.0,
        )

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Cuts a connection that is one too many."""
        super().connection_made(handler, transport)
        place = transport.get_extra_info("socket").fileno()
        if len(self.connections) > _MOST_CONNECTIONS or place >= _most_descriptors():
            transport.abort()


def _most_descriptors() -> int:
    """Of all descriptors of the process, so many may be in use before viewers are refused.

    The system gives out the lowest that is free.
    """
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - _SPARE_DESCRIPTORS


class PageServer:
    """Serves channels until it is stopped.

    Args:
        listener: Listens already; closed at the end.
        door: Decides who comes in.
    """

    def __init__(self, listener: socket.socket, door: Door) -> None:
        self._listener = listener
        self._door = door
        self._channels: dict[Channel, Broadcast] = {}
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="edgekit-page", daemon=True)

    @property
    def encoded(self) -> int:
        """How many pictures were encoded so far."""
        return sum(broadcast.encoded for broadcast in self._channels.values())

    @property
    def viewers(self) -> int:
        """How many watch."""
        return sum(len(broadcast.viewers) for broadcast in self._channels.values())

    def add(self, channel: Channel) -> None:
        """Serves one more channel."""
        broadcast = Broadcast(channel, self._loop, self._sources)
        # Whoever iterates has the old mapping or the new.
        self._channels = {**self._channels, channel: broadcast}
        channel.on_frame = broadcast.poke

    def start(self) -> None:
        """Begins to serve."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Tells the viewers that it is over, and ends within two seconds."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_JOIN_SECONDS)

    def _sources(self) -> list[dict[str, Any]]:
        channels = list(self._channels)
        return [channel.brief() for channel in channels] if len(channels) > 1 else []

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._ready.set()
            self._listener.close()
            self._loop.close()

    async def _main(self) -> None:
        self._loop.set_exception_handler(lambda loop, context: LOG.debug("%s", context))
        port = self._listener.getsockname()[1]
        site = Site(self._door, port, lambda: self._channels)
        runner = web.ServerRunner(_Connections(site, self._loop), shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._listener).start()
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
