"""Tests streams whose times wrap, jump, stand still or run backwards."""

from __future__ import annotations

import http.server
import threading
import time

import pytest

from edgekit.media import open_source
from edgekit.media.sources.source import SourceOptions

FPS = 50
HALF, READ = 2 * FPS, 130
TICKS = 90_000
"""Of MPEG-TS, in a second."""

TIMES = {
    "wrap": lambda index, usual: (1 << 33) - TICKS + usual,
    "back": lambda index, usual: 900_000 + usual - (5 * TICKS if index >= HALF else 0),
    "forward": lambda index, usual: 900_000 + usual + (3600 * TICKS if index >= HALF else 0),
    "still": lambda index, usual: 900_000 + (0 if HALF <= index < HALF + 20 else usual),
    "shaky": lambda index, usual: 900_000 + usual - (TICKS // 10 if index % 7 == 3 else 0),
}


def pictures_of(content: bytes) -> list[bytearray]:
    """A stream cut before each picture; what comes before the first one belongs to that."""
    pictures = [bytearray()]
    for place in range(0, len(content), 188):
        packet = content[place : place + 188]
        begins = packet[1] & 0x40 and b"\0\0\1\xe0" in packet[4:]
        if begins and any(b"\0\0\1\xe0" in picture for picture in pictures[-1:]):
            pictures.append(bytearray())
        pictures[-1] += packet
    return pictures


def set_time(picture: bytearray, ticks: int) -> bytes:
    """The picture with another time, in the 33 bits that there are for it."""
    ticks %= 1 << 33
    for place in range(0, len(picture), 188):
        start = place + 4
        if picture[place + 3] & 0x20:  # an adaptation field, maybe with the clock of the stream
            if picture[start] and picture[start + 1] & 0x10:
                picture[start + 2 : start + 6] = (ticks >> 1).to_bytes(4, "big")
                picture[start + 6] = (ticks & 1) << 7 | 0x7E
                picture[start + 7] = 0
            start += 1 + picture[start]
        if bytes(picture[start : start + 4]) == b"\0\0\1\xe0":
            both = picture[start + 7] & 0x40
            _write_time(picture, start + 9, 3 if both else 2, ticks)
            if both:
                _write_time(picture, start + 14, 1, ticks)
    return bytes(picture)


def _write_time(picture: bytearray, at: int, mark: int, ticks: int) -> None:
    picture[at] = mark << 4 | (ticks >> 30) << 1 | 1
    picture[at + 1 : at + 3] = ((ticks >> 15 & 0x7FFF) << 1 | 1).to_bytes(2, "big")
    picture[at + 3 : at + 5] = ((ticks & 0x7FFF) << 1 | 1).to_bytes(2, "big")


@pytest.fixture
def camera(ffmpeg):
    """An address under which a camera's times are those of the kind that its path names."""
    path = ffmpeg(
        *("-c:v", "libx264", "-bf", "0", "-g", "5", "-tune", "zerolatency", "-f", "mpegts"),
        "camera.ts",
        picture=f"testsrc2=size=160x120:rate={FPS}:duration=5",
    )
    content = path.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.end_headers()
            begin = time.monotonic()
            for index, picture in enumerate(pictures_of(content)):
                time.sleep(max(0.0, begin + index / FPS - time.monotonic()))
                ticks = TIMES[self.path[1:]](index, index * TICKS // FPS)
                self.wfile.write(set_time(picture, ticks))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *args: None
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("kind", TIMES)
def test_no_time_of_a_stream_costs_a_picture_or_an_age(camera, pyav, kind):
    # A machine that is too slow may leave pictures out to catch up, which is not what is asked.
    options = SourceOptions(catches_up=False)
    with open_source(f"{camera}{kind}", options) as source:
        assert source.live
        frames, ages = [], []
        for _ in range(READ):
            frames.append(source.read())
            ages.append(time.monotonic() - frames[-1].taken)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert not any(frame.gap for frame in frames)
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert times[-1] < 60
    assert min(ages) >= -0.001
    assert max(ages) < 60  # an hour forward is no age
