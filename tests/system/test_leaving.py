"""Tests a program that ends while one of its threads is inside a C library."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

import edgekit

_PROGRAM = """
import atexit, sys, threading

# Registered first, and so called last.
atexit.register(lambda: print("inside:", len(leaving._inside)))

from edgekit.system import leaving
from edgekit.media.sources.source import SourceOptions
from edgekit.media.sources.video.reader import VideoSource

leaving._LONGEST = 100.0
options = SourceOptions(patience=300)
threading.Thread(target=VideoSource, args=(sys.argv[1], options), daemon=True).start()
sys.stdin.readline()
print("inside:", len(leaving._inside))
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
                said, _ = program.communicate(b"\n", timeout=120)
        assert program.returncode == 0
        assert said == b"inside: 1\ninside: 0\n"


_HOST = """
import atexit, socket, sys, threading

def after_edgekit():
    for one in own:
        one.sendall(b"still here")
    print("sent")

atexit.register(after_edgekit)  # registered first, and so called last

from edgekit.system import leaving
from edgekit.media.sources.source import SourceOptions
from edgekit.media.sources.video.reader import VideoSource

address, port, other = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
own = [socket.create_connection(("127.0.0.1", number)) for number in (port, other)]
options = SourceOptions(patience=300)
threading.Thread(target=VideoSource, args=(address, options), daemon=True).start()
sys.stdin.readline()
own += [socket.create_connection(("127.0.0.1", number)) for number in (port, other)]
"""


def test_connections_of_the_program_stay_open():
    """Also those to the server that a source reads from, opened before and after it."""
    pytest.importorskip("av")
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.create_server(("127.0.0.1", 0)) as another,
    ):
        ports = [str(server.getsockname()[1]) for server in (silent, another)]
        command = [sys.executable, "-c", _HOST, f"rtsp://127.0.0.1:{ports[0]}/video", *ports]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as program:
            connections = [silent.accept()[0], another.accept()[0], silent.accept()[0]]
            connections[2].recv(1)  # FFmpeg's
            said, _ = program.communicate(b"\n", timeout=120)
            connections += [silent.accept()[0], another.accept()[0]]
        assert (program.returncode, said) == (0, b"sent\n")
        for number in (0, 1, 3, 4):
            with connections[number] as one:
                assert one.recv(64) == b"still here"
        connections[2].close()


_SLOW = """
import sys, threading, time
from edgekit.system import leaving
from edgekit.media._held import Held

started = threading.Event()

def use():
    started.set()
    time.sleep(0.3)
    print("back", flush=True)

held = Held(lambda: print("released", flush=True))

def work():
    held.call(use)
    print("again:", held.call(lambda: "called"), flush=True)

threading.Thread(target=work, daemon=True).start()
started.wait()
held.close()
"""


def test_the_end_waits_for_a_daemon_inside_a_library_and_lets_none_in_again():
    command = [sys.executable, "-c", _SLOW]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("back\n")
    assert "called" not in done.stdout


_LOOP = """
import sys, threading
import numpy as np
from edgekit import Annotator, Detector, LiveTube, SessionOptions, open_source

detector = Detector("shipped", options=SessionOptions(threads=1))
picture = np.zeros((480, 640, 3), np.uint8)
tubes = [LiveTube(0, 0, 0.5, [9, 9, 99, 99], 0, 0, 1)]
steps = {
    "detect": lambda: detector.detect(picture),
    "draw": lambda: Annotator().draw(picture, tubes),
    "open": lambda: list(open_source(sys.argv[2])),
}
began = threading.Event()

def work():
    while True:
        steps[sys.argv[1]]()
        began.set()

threading.Thread(target=work, daemon=True).start()
began.wait()
"""


@pytest.mark.parametrize("step", ["detect", "draw", "open"])
def test_a_program_may_end_while_a_daemon_thread_works(step):
    """Python would end the thread inside C++ code, which aborts the process."""
    frames = Path(edgekit.__file__).parent / "assets" / "frames"
    for _ in range(4):
        command = [sys.executable, "-c", _LOOP, step, str(frames)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stderr) == (0, "")
