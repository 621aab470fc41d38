"""A small threaded HTTP server for the metrics; it never asks DNS for a client's name."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from edgekit.media.serving.access import network_of
from edgekit.media.serving.address import is_loopback
from edgekit.media.serving.descriptors import most_descriptors
from edgekit.media.serving.headers import HEADERS

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["serve"]

_MOST = 32
_MOST_OF_PEER = 8
_SECONDS = 10.0
"""Longest duration of a connection, in seconds; it is then closed, finished or not."""


class _MetricsHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing, because a log of requests would record who visited."""

    def version_string(self) -> str:
        """Returns a server name without versions."""
        return HEADERS["Server"]

    def end_headers(self) -> None:
        """Adds the common headers to an error page; other responses do not come through here."""
        for name, value in HEADERS.items():
            if name != "Server":
                self.send_header(name, value)
        super().end_headers()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Limits the connections in all and per peer, and closes those that last too long."""

    daemon_threads = True

    def __init__(self, *args: Any, **more: Any) -> None:
        self._lock = threading.Lock()
        self._open: dict[Any, tuple[str, float]] = {}
        super().__init__(*args, **more)

    def server_bind(self) -> None:
        """Binds the socket without looking up this machine's name, unlike the base class."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Returns whether one more connection fits; the last place is reserved for this machine."""
        if request.fileno() >= most_descriptors():
            return False
        remote = str(client_address[0])
        peer = network_of(remote)
        with self._lock:
            of_peer = sum(other == peer for other, _ in self._open.values())
            most = _MOST if is_loopback(remote) else _MOST - 1
            if of_peer >= _MOST_OF_PEER or len(self._open) >= most:
                return False
            self._open[request] = peer, time.monotonic() + _SECONDS
        return True

    def shutdown_request(self, request: Any) -> None:
        """Ends a connection and frees its place."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Closes connections that have lasted too long; called twice per second."""
        now = time.monotonic()
        with self._lock:
            late = [request for request, (_, end) in self._open.items() if end < now]
        for request in late:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints nothing: a client that disconnects is no error of this program."""


def serve(host: str, port: int, application: WSGIApplication) -> WSGIServer:
    """Starts a server for ``application``, which runs until it is shut down.

    Args:
        host: Host name or IP address.
        port: TCP port; 0 for any free port.
        application: WSGI application that answers.

    Raises:
        OSError: The port is taken, or the address does not belong to this machine.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, place = found[0]
    server = _Server((str(place[0]), port), _MetricsHandler, bind_and_activate=False)
    try:
        server.socket.close()
        server.address_family, server.socket = family, socket.socket(family, socket.SOCK_STREAM)
        server.server_bind()
        server.server_activate()
    except OSError:
        server.server_close()
        raise
    server.set_app(_with_headers(application))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _with_headers(application: WSGIApplication) -> WSGIApplication:
    def answer(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, *HEADERS.items()], *more)

        return application(environ, start)

    return answer
