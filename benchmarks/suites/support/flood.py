"""Floods a live page with connections from one address, in a process of its own.

Half-open connections send the beginning of a request. Stalled ones ask for the live pictures and
read nothing. Connections that the page closes are opened again, once a second.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from typing import NamedTuple

from edgekit._closing import Closing

__all__ = ["Flood", "FloodCounts"]

_PERIOD = 1.0
_GONE = select.POLLHUP | select.POLLERR | select.POLLRDHUP
_BUFFER = 4096
_HALF_OPEN = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-"
_STALLED = (
    "GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class FloodCounts(NamedTuple):
    """Counts of a flood.

    Attributes:
        opened: Number of connections that were opened in all.
        held: Largest number of connections that were open at the end of a second.
        cpu_seconds: CPU time of the flood's process.
    """

    opened: int
    held: int
    cpu_seconds: float


class Flood(Closing):
    """A process that floods a page until ``end`` or ``close``. It is a context manager.

    Args:
        port: Port of the page on 127.0.0.1.
        token: Token of the page, for the stalled connections.
        source: IP address to connect from.
        half_open: Number of half-open connections.
        stalled: Number of stalled connections.
    """

    def __init__(self, port: int, token: str, source: str, half_open: int, stalled: int) -> None:
        words = (__name__, str(port), token, source, str(half_open), str(stalled))
        self._process = subprocess.Popen(
            [sys.executable, "-m", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def end(self) -> FloodCounts:
        """Closes all connections, and returns the counts."""
        output, _ = self._process.communicate()
        return FloodCounts(*json.loads(output))

    def close(self) -> None:
        """Kills the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class _Attacker:
    def __init__(self, port: int, source: str, requests: list[bytes]) -> None:
        self._port, self._source = port, source
        self._missing = requests
        self._open: dict[int, tuple[socket.socket, bytes]] = {}
        self._poll = select.poll()
        self.opened = self.held = 0

    def fill(self) -> None:
        """Opens the connections that are missing."""
        wanted, self._missing = self._missing, []
        for request in wanted:
            client = socket.socket()
            try:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
                client.bind((self._source, 0))
                client.connect(("127.0.0.1", self._port))
                client.sendall(request)
            except OSError:
                client.close()
                self._missing.append(request)
                continue
            self._open[client.fileno()] = client, request
            self._poll.register(client, select.POLLRDHUP)
            self.opened += 1

    def wait(self, seconds: float) -> bool:
        """Waits for a time, and returns whether the flood shall go on."""
        self._poll.register(sys.stdin, select.POLLIN)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for place, event in self._poll.poll(1000 * left):
                if place == sys.stdin.fileno():
                    return False
                if event & _GONE:
                    client, request = self._open.pop(place)
                    self._poll.unregister(place)
                    client.close()
                    self._missing.append(request)
        self.held = max(self.held, len(self._open))
        return True


def _main(port: str, token: str, source: str, half_open: str, stalled: str) -> None:
    requests = [_HALF_OPEN] * int(half_open) + [_STALLED.format(token=token).encode()] * int(
        stalled
    )
    attacker = _Attacker(int(port), source, requests)
    with contextlib.suppress(KeyboardInterrupt):
        attacker.fill()
        while attacker.wait(_PERIOD):
            attacker.fill()
    times = os.times()
    print(json.dumps([attacker.opened, attacker.held, times.user + times.system]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
