"""Answers requests: files of the page, health, and the WebSocket for viewers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from edgekit._printable import printable_json
from edgekit.media.page.broadcast import Broadcast, Viewer
from edgekit.media.page.channel import Channel
from edgekit.media.serving.access import Door, Verdict, network_of
from edgekit.media.serving.headers import HEADERS

__all__ = ["LOG", "Site"]

# Invalid requests from strangers must not appear on the program's standard error.
LOG = logging.getLogger("edgekit.page")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False

_MOST_VIEWERS = 128
_MOST_VIEWERS_OF_PEER = 100
"""Largest number of viewers per peer, which leaves room for other peers."""

_OVER, _TOO_MANY, _RUBBISH = 4000, 4001, 4002
"""Close codes of the WebSocket, which the page's script interprets."""

_COOKIE_SECONDS = 30 * 86400
_OPEN = ("page.css", "icon.svg")
"""Files that the token form needs, served without a token."""

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_PASSED_ON = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")
_REFUSALS = {
    Verdict.UNKNOWN_NAME: (421, "This device does not go by that name; use its address."),
    Verdict.NO_TOKEN: (401, "The page needs the token that edgekit run printed."),
    Verdict.WRONG_TOKEN: (403, "That is not the token of this run."),
    Verdict.TOO_MANY_FAILURES: (429, "Too many wrong tokens. Wait for a minute."),
}


class Site:
    """Answers requests.

    Args:
        door: Access control.
        port: Port of the server, part of the cookie's name: all ports of a host share cookies.
        channels: Function that returns the channels with their broadcasts.
    """

    def __init__(
        self, door: Door, port: int, channels: Callable[[], Mapping[Channel, Broadcast]]
    ) -> None:
        self._door = door
        self._channels = channels
        self._cookie = f"edgekit-{port}"
        self._watching: Counter[str] = Counter()
        self._files = {path.name: path.read_bytes() for path in _STATIC.iterdir()}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Returns the response to a request; invalid requests get a status from 400 to 429."""
        if request.method not in ("GET", "HEAD"):
            return _text(405, "Only GET and HEAD are answered here.", Allow="GET, HEAD")
        verdict = self._verdict(request)
        path = request.path
        if path == "/health" and (verdict is Verdict.ADMITTED or self._may_ask_health(request)):
            return self._health()
        if verdict is Verdict.NO_TOKEN and path[1:] in _OPEN:
            return self._file(path[1:])
        if verdict is not Verdict.ADMITTED:
            return self._refuse(verdict, path)
        if path == "/live":
            return await self._live(request)
        if path == "/" and "token" in request.query:
            return self._remember(request)
        name = "index.html" if path == "/" else path[1:]
        return self._file(name) if name in self._files else _text(404, "There is nothing here.")

    def _verdict(self, request: web.BaseRequest) -> Verdict:
        shown = request.query.get("token")
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if shown is None and scheme.lower() == "bearer":
            shown = credentials.strip()
        return self._door.check(
            peer=self._peer(request),
            host=request.headers.get("Host", ""),
            shown=shown,
            cookie=request.cookies.get(self._cookie),
        )

    def _may_ask_health(self, request: web.BaseRequest) -> bool:
        return self._door.may_ask_health(
            remote=request.remote or "",
            forwarded=any(name in request.headers for name in _PASSED_ON),
            host=request.headers.get("Host", ""),
        )

    def _peer(self, request: web.BaseRequest) -> str:
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
        return self._door.proxies.client_of(request.remote or "", forwarded)

    def _health(self) -> web.Response:
        sources = [channel.health() for channel in self._channels()]
        flowing = any(source["status"] == "ok" for source in sources)
        well = all(source["status"] in ("ok", "ended") for source in sources) and not any(
            sink["error"] for source in sources for sink in source["sinks"]
        )
        status = sources[0]["status"] if sources else "starting"
        if flowing:
            status = "ok" if well else "degraded"
        body = printable_json(msgspec.json.encode({"status": status, "sources": sources}))
        code = 200 if flowing else 503
        return web.Response(
            status=code, body=body, content_type="application/json", headers=HEADERS
        )

    def _refuse(self, verdict: Verdict, path: str) -> web.Response:
        code, message = _REFUSALS[verdict]
        if path != "/" or verdict is Verdict.UNKNOWN_NAME:
            return _text(code, message)
        page = self._files["token.html"].replace(b"{{message}}", message.encode())
        return web.Response(status=code, body=page, content_type="text/html", headers=HEADERS)

    def _remember(self, request: web.BaseRequest) -> web.Response:
        """Exchanges the token in the URL for a cookie, so that it leaves the address bar."""
        response = web.Response(status=303, headers={**HEADERS, "Location": "/"})
        response.set_cookie(
            self._cookie,
            self._door.cookie,
            max_age=_COOKIE_SECONDS,
            httponly=True,
            secure=self._door.is_secure(request.headers.get("Host", "")),
            samesite="Lax",
        )
        return response

    def _file(self, name: str) -> web.Response:
        kind = _TYPES[Path(name).suffix]
        return web.Response(
            body=self._files[name], content_type=kind, charset="utf-8", headers=HEADERS
        )

    async def _live(self, request: web.BaseRequest) -> web.StreamResponse:
        origin, host = request.headers.get("Origin"), request.headers.get("Host", "")
        if not self._door.is_from_the_page(origin, host):
            return _text(403, "Only the page itself may watch.")
        if "Sec-WebSocket-Protocol" in request.headers:
            return _text(400, "No subprotocol is spoken here.")
        place = request.query.get("source", "0")
        broadcasts = list(self._channels().values())
        if not (place.isdecimal() and len(place) < 4 and int(place) < len(broadcasts)):
            return _text(404, "There is no such source.")
        if not broadcasts[int(place)].has_begun:
            return _text(503, "That source has not begun.")
        if request.method == "HEAD":  # the page checks whether the source exists
            return web.Response(status=204, headers=HEADERS)
        socket = web.WebSocketResponse(timeout=0.5, max_msg_size=1024, compress=False)
        if not socket.can_prepare(request):
            return _text(400, "A WebSocket was expected.")
        await socket.prepare(request)
        peer = network_of(self._peer(request))
        many = sum(len(broadcast.viewers) for broadcast in broadcasts) >= _MOST_VIEWERS
        if many or self._watching[peer] >= _MOST_VIEWERS_OF_PEER:
            await socket.close(code=_TOO_MANY, message=b"as many viewers as there may be")
            return socket
        self._watching[peer] += 1
        try:
            await _watch(broadcasts[int(place)], socket, request)
        finally:
            self._watching[peer] -= 1
            self._watching += Counter()  # drops peers without viewers
        return socket


async def _watch(
    broadcast: Broadcast, socket: web.WebSocketResponse, request: web.BaseRequest
) -> None:
    def drop() -> None:
        if request.transport is not None:
            request.transport.abort()

    viewer = Viewer(broadcast, socket, drop)
    broadcast.join(viewer)
    sending = asyncio.create_task(viewer.run())
    listening = asyncio.create_task(_listen(socket, viewer))
    try:
        await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
        is_over = sending.done() and not listening.done()
        code = _OVER if is_over else _RUBBISH
    finally:
        broadcast.viewers.discard(viewer)
        for task in (sending, listening):
            task.cancel()
        await asyncio.gather(sending, listening, return_exceptions=True)
    with contextlib.suppress(Exception):  # the connection may be closed already
        await socket.close(code=code)


async def _listen(socket: web.WebSocketResponse, viewer: Viewer) -> None:
    """Handles the viewer's answers; returns when it disconnects or sends anything else."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT or message.data != "k":
            return
        viewer.answered()


def _text(code: int, message: str, **headers: Any) -> web.Response:
    return web.Response(status=code, text=f"{message}\n", headers={**HEADERS, **headers})
