"""Runs a real RTSP server on loopback, and a relay that imitates network faults."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from edgekit._closing import Closing
from edgekit.errors import MissingDependencyError

__all__ = ["WITH_ITS_PARENT", "ClipServer", "Relay", "RtspServer", "free_ports"]

WITH_ITS_PARENT = ("setpriv", "--pdeathsig", "KILL")
"""Words before a command that has to end with the thread that starts it, even a killed one."""

_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("rtsp_server.py")
_PAUSE = 0.5
_NEEDS = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)


class RtspServer(Closing):
    """GStreamer's RTSP server in its own process; ``rtsp_server.py`` lists its paths.

    Args:
        port: Port to listen on; by default a free one.
        rate: Frames per second.

    Attributes:
        port: Port on 127.0.0.1; the next port requires a password.

    Raises:
        MissingDependencyError: GStreamer, its server or its plugins are not installed.
    """

    def __init__(self, port: int | None = None, rate: int = 25) -> None:
        self._rate = rate
        self.port = free_ports(2) if port is None else port
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Starts the server, and waits until it listens."""
        try:
            self._process = subprocess.Popen(
                [*WITH_ITS_PARENT, _PYTHON, str(_SCRIPT), str(self.port), str(self._rate)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError as error:
            raise self._missing() from error
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.kill()
            raise self._missing()

    def kill(self) -> None:
        """Kills the server, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def close(self) -> None:
        """Stops the server."""
        self.kill()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Freezes the server inside the block: connections stay open but carry no data."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    @staticmethod
    def _missing() -> MissingDependencyError:
        return MissingDependencyError(
            "GStreamer's RTSP server cannot be started.", hint=f"Run: sudo apt install {_NEEDS}"
        )


class ClipServer(Closing):
    """FFmpeg, which sends a clip at its own rate, again and again, to one client after the other.

    Nothing is encoded, so that a large picture costs this machine little more than its decoding.

    Args:
        path: H.264 clip.
        port: Port on 127.0.0.1; the address is ``tcp://127.0.0.1:PORT``.
    """

    def __init__(self, path: Path, port: int) -> None:
        self._over = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        words = [*WITH_ITS_PARENT, "ffmpeg", "-v", "error", "-re", "-stream_loop", "-1"]
        words += ["-i", str(path), "-c", "copy", "-f", "mpegts", f"tcp://127.0.0.1:{port}?listen=1"]
        self._thread = threading.Thread(target=self._serve, args=(words,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops the server."""
        self._over.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join()

    def _serve(self, words: list[str]) -> None:
        while not self._over.is_set():
            with subprocess.Popen(words, stderr=subprocess.DEVNULL) as self._process:
                self._process.wait()
            self._over.wait(_PAUSE)


class Relay(Closing):
    """Forwards connections to another port, and damages the returned data on request.

    Attributes:
        port: Port on 127.0.0.1.
        damage: Share of the returned bytes that are replaced by random ones.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.damage = 0.0
        self._random = random.Random(1)
        self._sockets: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Closes the relay and all its connections."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._sockets.append(near)
                with contextlib.suppress(OSError):
                    far = socket.create_connection(("127.0.0.1", self._target))
                    self._sockets.append(far)
                    for source, sink in ((near, far), (far, near)):
                        threading.Thread(
                            target=self._carry, args=(source, sink, sink is near), daemon=True
                        ).start()
                    continue
                near.close()

    def _carry(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(self._damaged(data) if back and self.damage else data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _damaged(self, data: bytes) -> bytes:
        damaged = bytearray(data)
        # Random positions, whose mean distance follows from the share.
        place = self._random.expovariate(self.damage)
        while place < len(damaged):
            damaged[int(place)] = self._random.randrange(256)
            place += 1 + self._random.expovariate(self.damage)
        return bytes(damaged)


def free_ports(count: int) -> int:
    """Returns the first of ``count`` consecutive ports that are free now."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            first: int = server.getsockname()[1]
            for port in range(first + 1, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
