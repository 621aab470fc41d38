"""A program that ends while a thread of it waits inside FFmpeg."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

_PROGRAM = """
import atexit, sys, threading

# Registered first, and so called last.
atexit.register(lambda: print("inside:", len(_leaving._inside)))

from edgekit.media import _leaving
from edgekit.media.source import SourceOptions
from edgekit.media.stream import StreamSource

options = SourceOptions(patience=300)
threading.Thread(target=StreamSource, args=(sys.argv[1], options), daemon=True).start()
sys.stdin.readline()
print("inside:", len(_leaving._inside))
"""


def test_a_thread_inside_ffmpeg_comes_back_before_the_end():
    pytest.importorskip("av")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/video"
        command = [sys.executable, "-c", _PROGRAM, address]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as program:
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                said, _ = program.communicate(b"\n", timeout=60)
        assert program.returncode == 0
        assert said == b"inside: 1\ninside: 0\n"
