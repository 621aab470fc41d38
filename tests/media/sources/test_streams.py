"""Tests streams of real RTSP and HTTP servers on loopback, with both readers."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
import traceback

import cv2
import numpy as np
import pytest

from edgekit.benchmarks.suites.support.streams import Relay, RtspServer, free_ports
from edgekit.errors import MediaError, MissingDependencyError
from edgekit.media import open_source
from edgekit.media.sources.opencv.stream import OpenCVStreamSource
from edgekit.media.sources.source import SourceOptions
from edgekit.media.sources.video.reader import VideoSource
from edgekit.system.installation import install_line
from tests.waiting import LIMIT

HASTY = SourceOptions(patience=0.5)
READERS = [VideoSource, OpenCVStreamSource]


@pytest.fixture(scope="module")
def server():
    try:
        running = RtspServer()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with running:
        yield running


@pytest.fixture(params=READERS, ids=["pyav", "opencv"])
def reader(request):
    if request.param is VideoSource:
        pytest.importorskip("av")
    return request.param


def video(server, **options):
    return f"rtsp://127.0.0.1:{server.port}/video", SourceOptions(patience=LIMIT, **options)


def opened(reader, address):
    """A source with as little patience as this machine can open it with, and that patience."""
    for patience in (2.0, 4.0, 8.0, 16.0, 32.0):
        with contextlib.suppress(MediaError):
            return reader(address, SourceOptions(patience=patience)), patience
    return reader(address, SourceOptions(patience=LIMIT)), LIMIT


def reopened(source):
    """The source opened anew, once that succeeds."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        with contextlib.suppress(MediaError):
            return source.reopened()
    return source.reopened()


def error_of(reader, address, options=HASTY):
    with pytest.raises(MediaError) as caught:
        reader(address, options)
    assert caught.value.hint
    return caught.value


def rest_of(source, most=500):
    """Frames until it ends or fails, and the error if there was one."""
    frames = []
    try:
        while len(frames) < most and (frame := source.read()) is not None:
            frames.append(frame)
    except MediaError as error:
        return frames, error
    return frames, None


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_on_the_network(server, reader, transport):
    with reader(*video(server, rtsp_transport=transport)) as source:
        assert source.live
        assert (source.width, source.height, source.fps, source.frames) == (320, 240, 25.0, None)
        assert source.name == f"rtsp://127.0.0.1:{server.port}/video"
        frames = list(itertools.islice(source, 5))
    assert [frame.index for frame in frames] == list(range(5))
    assert all(frame.image.shape == (240, 320, 3) for frame in frames)
    # A white ball on black.
    assert all(frame.image.max() > 200 and frame.image.mean() < 60 for frame in frames)
    assert source.read() is None


@pytest.mark.parametrize(
    ("place", "step", "words"),
    [
        ("/nothing", 0, "404"),
        ("/sound", 0, "sound only"),
        ("/video", 1, "401"),
        ("/video?token=hunter2", 1, "401"),
    ],
)
def test_what_is_no_video_says_why(server, place, step, words, capfd):
    pytest.importorskip("av")
    address = f"rtsp://127.0.0.1:{server.port + step}{place}"
    error = error_of(VideoSource, address, SourceOptions(patience=LIMIT))
    assert words in error.message
    assert capfd.readouterr() == ("", "")


def test_what_is_no_video_through_opencv(server, capfd):
    for place in ("/nothing", "/sound"):
        error = error_of(OpenCVStreamSource, f"rtsp://127.0.0.1:{server.port}{place}")
        assert install_line("video") in error.hint
    assert capfd.readouterr() == ("", "")


def test_the_right_password_opens_and_a_wrong_one_is_reported_nowhere(
    server, reader, caplog, capfd
):
    caplog.set_level("DEBUG")
    place = f"127.0.0.1:{server.port + 1}/video"
    with reader(f"rtsp://user:secret@{place}?token=hunter2", video(server)[1]) as source:
        assert source.name == f"rtsp://{place}?..."
        with source.reopened() as again:
            assert again.read().index == 0
    error = error_of(reader, f"rtsp://user:hunter1@{place}?token=hunter2")
    told = "".join(traceback.format_exception(error)) + caplog.text + "".join(capfd.readouterr())
    assert "hunter" not in told
    assert "secret" not in told


def test_nobody_listens(reader):
    error = error_of(reader, f"rtsp://user:hunter2@127.0.0.1:{free_ports(1)}/video")
    assert "hunter2" not in str(error)


def test_a_server_that_freezes(server, reader):
    address, _ = video(server)
    source, patience = opened(reader, address)
    with source:
        with server.frozen():
            frames, error = rest_of(source)
            assert f"none came for {patience:g} seconds" in str(error)
            error_of(reader, address)
        assert len(frames) < 100  # what was under way, and no more
        with reopened(source) as again:
            assert again.read().index == 0


def test_closing_does_not_wait_for_a_reader_that_hangs(server, reader):
    source, _ = opened(reader, video(server)[0])
    with server.frozen():
        begun, given = threading.Event(), []

        def read_on():
            begun.set()
            given.extend(iter(source))

        thread = threading.Thread(target=read_on)
        thread.start()
        begun.wait(LIMIT)
        source.close()
        thread.join(LIMIT)
    assert not thread.is_alive()
    assert len(given) < 100
    assert source.read() is None


def test_a_server_that_dies_and_comes_back(reader):
    try:
        mortal = RtspServer()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with mortal, reader(*video(mortal)) as source:
        mortal.kill()
        rest_of(source)
        with pytest.raises(MediaError):
            source.reopened()
        mortal.start()
        with reopened(source) as again:
            assert again.read().index == 0
            assert again.name == source.name


@pytest.mark.parametrize("share", [0.0005, 0.1])
def test_a_damaged_stream_gives_frames_or_an_end(server, reader, share, capfd):
    with Relay(server.port) as relay:
        source, _ = opened(reader, f"rtsp://127.0.0.1:{relay.port}/video")
        with source:
            relay.damage = share
            frames, error = rest_of(source, most=50)
            indices = [frame.index for frame in frames]
            assert indices == sorted(set(indices))
            assert all(frame.image.shape == (240, 320, 3) for frame in frames)
            assert len(frames) == 50 or error is not None or source.read() is None
    assert capfd.readouterr() == ("", "")


@contextlib.contextmanager
def answering(answer):
    """A server that does this with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        answer(connection, done)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def send_noise(connection, done):
    while not done.is_set():
        connection.sendall(os.urandom(4096))


def say_nothing(connection, done):
    done.wait()


def drip(connection, done):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n")
    while not done.wait(0.05):
        connection.sendall(b"X: y\r\n")


@pytest.mark.parametrize("answer", [send_noise, say_nothing, drip])
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_of_something_else(reader, answer, scheme, capfd):
    with answering(answer) as port:
        error_of(reader, f"{scheme}://127.0.0.1:{port}/video")
    assert capfd.readouterr() == ("", "")


WEB_CAMERA = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n"


def jpeg_part(level):
    picture = cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()
    head = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
    return head + picture + b"\r\n"


def test_what_is_old_when_a_stream_is_open_is_left_out(monkeypatch):
    pytest.importorskip("av")
    # A starved machine waits for milliseconds for what is there already.
    monkeypatch.setattr("edgekit.media.sources.video._shown_pictures._PRESENT", 0.5)

    def answer(connection, done):
        connection.recv(4096)
        connection.sendall(WEB_CAMERA + 30 * jpeg_part(10))
        while not done.wait(1.5):
            connection.sendall(jpeg_part(200))

    with answering(answer) as port, VideoSource(f"http://127.0.0.1:{port}/video") as source:
        frames = [source.read() for _ in range(2)]
    assert [frame.index for frame in frames] == [0, 1]
    assert [frame.image.mean() for frame in frames] == pytest.approx([200] * 2, abs=2)


def test_a_web_camera_of_jpegs_is_live(reader):
    def answer(connection, done):
        connection.recv(4096)
        connection.sendall(WEB_CAMERA)
        while not done.wait(0.02):
            connection.sendall(jpeg_part(90))

    with answering(answer) as port:
        address = f"http://127.0.0.1:{port}/video"
        with reader(address, SourceOptions(patience=LIMIT)) as source:
            assert source.live
            frames = list(itertools.islice(source, 3))
    assert [frame.image.mean() for frame in frames] == pytest.approx([90] * 3, abs=2)


def test_a_file_on_a_web_server_is_no_live_source(reader, make_video, served, caplog):
    make_video("clip.avi", frames=12, codec="MJPG")
    with reader(f"{served}/clip.avi") as source:
        assert (source.live, source.frames, source.fps) == (False, 12, 25.0)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(12)])
    assert caplog.text == ""


def test_a_file_that_breaks_off_says_so(reader, make_video, served, caplog):
    path = make_video("clip.avi", frames=40, codec="MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with reader(f"{served}/clip.avi") as source:
        assert 0 < len(list(source)) < 40
    assert "of its 40 frames" in caplog.text


def test_without_pyav_opencv_reads(server, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with open_source(*video(server)) as source:
        assert isinstance(source, OpenCVStreamSource)
    monkeypatch.undo()
    pytest.importorskip("av")
    with open_source(*video(server)) as source:
        assert isinstance(source, VideoSource)
