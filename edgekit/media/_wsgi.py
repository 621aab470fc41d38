"""A small HTTP server in threads of its own, which looks no name up."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["serve"]


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: requests are nobody's business."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Binds without asking a name server what this machine is called, as its base does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


def serve(host: str, port: int, application: WSGIApplication) -> WSGIServer:
    """Answers requests with ``application`` until it is shut down.

    Args:
        host: A name or an IP address.
        port: 0 for any that is free.
        application: What answers.

    Raises:
        OSError: The port is taken, or the address is not one of this machine.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, place = found[0]
    server = _Server((str(place[0]), port), _Handler, bind_and_activate=False)
    try:
        server.socket.close()
        server.address_family, server.socket = family, socket.socket(family, socket.SOCK_STREAM)
        server.server_bind()
        server.server_activate()
    except OSError:
        server.server_close()
        raise
    server.set_app(application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
