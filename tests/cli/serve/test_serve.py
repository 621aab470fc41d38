"""Tests the live page with a real server, a real run and real clients on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

from edgekit import Detector, make_linker
from edgekit.errors import OutputError
from edgekit.media.page import LivePage
from edgekit.media.page import broadcast as broadcasting
from edgekit.media.page import server as serving
from edgekit.media.sources.source import Source
from edgekit.pipeline.fair_semaphore import FairSemaphore
from edgekit.pipeline.pipeline import Pipeline
from edgekit.runtime.types import Frame
from edgekit.system.installation import install_line
from tests.waiting import LIMIT, wait_until

aiohttp = pytest.importorskip("aiohttp")

HANDSHAKE = (
    "GET /live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{more}\r\n"
)
REFUSED = (ConnectionError, http.client.HTTPException)


class SpotSource(Source):
    """A spot that moves, for ever; stands still while it is held, and says when it does."""

    name, width, height, fps = "/clips/spots.mp4", 128, 96, 100.0

    def __init__(self) -> None:
        self.flowing = threading.Event()
        self.flowing.set()
        self.still = threading.Event()
        self.over = threading.Event()

    def read(self):
        while not (self.flowing.is_set() or self.over.is_set()):
            self.still.set()
            self.flowing.wait(0.02)
        self.still.clear()
        if self.over.wait(0.005):
            return None
        image = np.zeros((96, 128, 3), np.uint8)
        x = 10 + self.position % 80
        image[38:58, x : x + 20] = 255
        frame = Frame(self.position, self.position / self.fps, image)
        self.position += 1
        return frame

    def close(self) -> None:
        self.over.set()


class Running:
    """A run that is served, in a thread."""

    def __init__(self, bundle, token=None, address="127.0.0.1:0"):
        self.lines: list[str] = []
        self.source = SpotSource()
        self.page = LivePage(address, token, say=self.lines.append)
        self._detector = Detector(bundle)
        linker = make_linker("edgekit", 2)
        self._pipeline = Pipeline(self.source, self._detector, linker, [self.page.sink()])
        self._thread = threading.Thread(target=self._pipeline.run)

    def __enter__(self):
        self._thread.start()
        wait_until(lambda: self.lines)
        self.link = re.search(r"http://\S+", self.lines[0])[0]
        self.port = int(re.search(r":(\d+)/", self.link)[1])
        return self

    def __exit__(self, *_):
        self.end()
        self._detector.close()

    def end(self) -> None:
        """Ends the run."""
        self.source.over.set()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()

    def get(self, path="/", **headers):
        """Status, headers and body of a request, redirections not followed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def frames(self) -> int:
        """How many frames went through."""
        return json.loads(self.get("/health")[2])["sources"][0]["frames"]


@pytest.fixture
def running(spot_bundle):
    with Running(spot_bundle) as run:
        yield run


def talk(port: int, sent: bytes) -> bytes:
    """What is answered to some bytes, until the server closes or has no more to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
        client.sendall(sent)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while part := client.recv(4096):
                answer += part
                if b"\r\n\r\n" in answer:
                    break
        return answer


def unpack(message: bytes):
    (length,) = struct.unpack_from("<I", message)
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(running):
    status, headers, body = running.get("/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    wanted = re.findall(r'(?:src|href)="([^"]+)"', body.decode())
    assert {"page.css", "page.js", "icon.svg"} <= set(wanted)
    texts = [body.decode()]
    while wanted:
        status, headers, part = running.get(f"/{wanted.pop()}")
        assert status == 200
        texts.append(part.decode())
        wanted += re.findall(r'from "\./([^"]+)"', texts[-1])
    assert len(texts) >= 7
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", "".join(texts))


def test_health_reports_how_the_run_does(running, monkeypatch):
    wait_until(lambda: running.get("/health")[0] == 200)
    _, headers, body = running.get("/health")
    health = json.loads(body)
    assert headers["Content-Type"] == "application/json"
    assert health["status"] == "ok"
    assert health["sources"][0]["source"] == "/clips/spots.mp4"
    monkeypatch.setattr("edgekit.media.activity._PATIENCE", 0.3)
    running.source.flowing.clear()
    wait_until(lambda: running.get("/health")[0] == 503)
    assert json.loads(running.get("/health")[2])["status"] == "stalled"
    running.source.flowing.set()
    wait_until(lambda: running.get("/health")[0] == 200)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"rubbish\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + 70_000 * b"x" + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /%00%ff%2e%2e/page.py HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /server.py HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /live?source=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET /live?source=%CC%81 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b'GET / HTTP/1.1\r\nHost: localhost\r\nCookie: \xff=;;"\x80\r\n\r\n', 200),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_rubbish_is_answered_and_harmless(running, sent, status, capfd):
    answer = talk(running.port, sent)
    assert answer.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status))
    assert b"Traceback" not in answer
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert b"Server: EdgeKit" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert any(line.startswith(b"Content-Security-Policy: default-src 'none'") for line in head)
    assert running.get("/")[0] == 200
    assert capfd.readouterr().err == ""


def test_pages_from_elsewhere_may_not_watch(running):
    for more, status in (
        ("Origin: http://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Sec-WebSocket-Protocol: a\r\n", 400),
        ("Origin: http://127.0.0.1:{port}\r\n", 101),
    ):
        request = HANDSHAKE.format(port=running.port, more=more.format(port=running.port))
        assert talk(running.port, request.encode()).startswith(b"HTTP/1.1 %d" % status)


def is_in(point, box):
    return box[0] < point[0] < box[2] and box[1] < point[1] < box[3]


async def watch(url, frames, *, stop):
    """A viewer who deals with all that comes until ``stop``; fills ``frames`` by index."""
    states = []
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as link:
        async for message in link:
            header, picture = unpack(message.data)
            if header["type"] == "frame":
                frames[header["index"]] = (header, picture)
            elif header["type"] == "state":
                states.append(header)
            if header["type"] != "hello":
                await link.send_str("k")
            if stop(header):
                break
        return states, link.close_code


def test_a_viewer_sees_frames_tubes_and_states(running):
    import cv2

    frames = {}
    url = f"http://127.0.0.1:{running.port}/live"
    states, _ = asyncio.run(watch(url, frames, stop=lambda header: len(frames) > 30))
    boxed = 0
    for header, picture in frames.values():
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (96, 128, 3)
        spot = np.argwhere(image[..., 0] > 128).mean(axis=0)[::-1]
        boxed += any(is_in(spot, tube["box"]) for tube in header["tubes"])
    # Not in all: where it jumps back, and where frames were dropped, the tube has to follow.
    assert boxed > len(frames) / 2, "they are of one frame"
    assert header["ms"].keys() >= {"cascade", "network"}
    assert states[-1]["tubes"][0]["alive"]
    assert states[-1]["stages"]["network"][0] > 0


def test_a_viewer_who_talks_rubbish_is_cut_off(running):
    async def talk_rubbish():
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{running.port}/live"
            async with session.ws_connect(url) as link:
                await link.send_str("give me everything")
                async for _ in link:
                    pass
                return link.close_code

    assert asyncio.run(talk_rubbish()) == 4002


def test_nobody_watching_costs_no_encoding(running):
    wait_until(lambda: running.frames() > 20)
    assert running.page.server.encoded == 0


@contextlib.contextmanager
def stalled_viewers(port, count):
    """Viewers who ask to see everything, and take nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            stack.enter_context(client)
            client.sendall(HANDSHAKE.format(port=port, more="").encode())
        yield


def test_a_hundred_viewers_cost_one_encoding_and_stalled_ones_nothing(running, monkeypatch):
    server = running.page.server
    url = f"http://127.0.0.1:{running.port}/live"
    monkeypatch.setattr(broadcasting, "STALLED", LIMIT)
    shown = [{} for _ in range(90)]
    before = []

    async def watch_all():
        loop = asyncio.get_running_loop()
        held = threading.Event()
        last = []
        tasks = [
            asyncio.create_task(
                watch(url, frames, stop=lambda header, f=frames: held.is_set() and last[0] in f)
            )
            for frames in shown
        ]
        await loop.run_in_executor(None, wait_until, lambda: server.viewers == 100)
        await loop.run_in_executor(None, wait_until, lambda: all(len(f) >= 5 for f in shown))
        running.source.still.clear()
        running.source.flowing.clear()
        await loop.run_in_executor(None, wait_until, running.source.still.is_set)
        last.append(running.source.position - 1)
        held.set()
        # The state of each second lets them look once more whether they have the last frame.
        await asyncio.wait_for(asyncio.gather(*tasks), LIMIT)

    with stalled_viewers(running.port, 10):
        wait_until(lambda: server.viewers == 10)
        frames = running.frames()
        wait_until(lambda: running.frames() > frames + 20)
        before.append(server.encoded)
        asyncio.run(watch_all())
        different = set().union(*shown)
        assert server.encoded - before[0] == len(different)
        running.source.flowing.set()
        frames = running.frames()
        wait_until(lambda: running.frames() > frames + 20)
        wait_until(lambda: server.viewers == 10)
        monkeypatch.setattr(broadcasting, "STALLED", 0.5)
        wait_until(lambda: server.viewers == 0)


def test_there_are_only_so_many_viewers(running, monkeypatch):
    monkeypatch.setattr("edgekit.media.page.site._MOST_VIEWERS", 2)
    url = f"http://127.0.0.1:{running.port}/live"
    with stalled_viewers(running.port, 2):
        wait_until(lambda: running.page.server.viewers == 2)
        _, code = asyncio.run(watch(url, {}, stop=lambda header: False))
        assert code == 4001


def test_viewers_of_one_peer_leave_room_for_others(running, monkeypatch):
    monkeypatch.setattr("edgekit.media.page.site._MOST_VIEWERS_OF_PEER", 2)
    url = f"http://127.0.0.1:{running.port}/live"
    with stalled_viewers(running.port, 2):
        wait_until(lambda: running.page.server.viewers == 2)
        _, code = asyncio.run(watch(url, {}, stop=lambda header: False))
        assert code == 4001
        other = socket.create_connection(
            ("127.0.0.1", running.port), timeout=LIMIT, source_address=("127.0.0.2", 0)
        )
        with other:
            other.sendall(HANDSHAKE.format(port=running.port, more="").encode())
            wait_until(lambda: running.page.server.viewers == 3)
    wait_until(lambda: running.page.server.viewers == 0)
    asyncio.run(watch(url, {}, stop=lambda header: True))


def test_there_are_only_so_many_connections(running, monkeypatch):
    monkeypatch.setattr("edgekit.media.page.server._MOST_CONNECTIONS", 5)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port)))
        with pytest.raises(REFUSED):
            running.get("/health")

    def is_back():
        with contextlib.suppress(*REFUSED):
            return running.get("/health")[0] == 200

    wait_until(is_back)


def test_stalled_viewers_do_not_hold_up_the_end(spot_bundle, monkeypatch):
    monkeypatch.setattr(serving, "_FAREWELL_SECONDS", 0.01)
    with Running(spot_bundle) as run, stalled_viewers(run.port, 3):
        wait_until(lambda: run.page.server.viewers == 3)
        run.end()


def test_the_end_is_reported(spot_bundle, monkeypatch):
    monkeypatch.setattr(serving, "_FAREWELL_SECONDS", LIMIT)
    monkeypatch.setattr(serving, "_JOIN_SECONDS", LIMIT)
    with Running(spot_bundle) as run:
        url = f"http://127.0.0.1:{run.port}/live"
        told = {}

        def watch_on():
            told["states"], told["code"] = asyncio.run(watch(url, {}, stop=lambda header: False))

        viewer = threading.Thread(target=watch_on)
        viewer.start()
        wait_until(lambda: run.page.server.viewers == 1)
        run.end()
        viewer.join(LIMIT)
        assert told["code"] == 4000
        assert told["states"][-1]["ended"] == "over"
        with pytest.raises(ConnectionRefusedError):
            run.get("/health")


class TestSeveral:
    """Two sources on one page; the second begins later."""

    @pytest.fixture
    def page(self):
        page = LivePage("127.0.0.1:0", say=lambda line: None)
        yield page
        if page.server is not None:
            page.server.stop()

    @pytest.fixture
    def run(self, page, spot_bundle):
        """Begins to run a source on the page; ends it with the test."""
        sinks = [page.sink(), page.sink()]
        with contextlib.ExitStack() as stack:
            detector = stack.enter_context(Detector(spot_bundle))
            turn = FairSemaphore()

            def begin(number):
                source = SpotSource()
                source.name = f"/clips/{number}.mp4"
                pipeline = Pipeline(
                    source,
                    detector.sibling(),
                    make_linker("edgekit", 2),
                    [sinks[number]],
                    turn=turn,
                )
                thread = threading.Thread(target=pipeline.run)
                thread.start()
                stack.callback(thread.join, LIMIT)
                stack.callback(source.over.set)
                wait_until(lambda: page.server is not None)
                return source, thread

            yield begin

    @staticmethod
    def port_of(page):
        return page.server._listener.getsockname()[1]

    @staticmethod
    def get(port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def test_each_is_watched_by_its_number_and_costs_nothing_unwatched(self, page, run):
        run(1)
        port = self.port_of(page)
        assert self.get(port, "/live?source=0")[0] == 503
        assert self.get(port, "/live?source=2")[0] == 404
        run(0)
        url = f"ws://127.0.0.1:{port}/live?source=1"
        frames = {}
        wait_until(lambda: self.get(port, "/live?source=0")[0] == 400)
        states, _ = asyncio.run(
            watch(url, frames, stop=lambda header: len(frames) > 9 and header["type"] == "state")
        )
        unwatched, watched = page.server._channels.values()
        assert unwatched.encoded == 0
        assert watched.encoded >= len(frames)
        told = states[-1]["sources"]
        assert [source["source"] for source in told] == ["/clips/0.mp4", "/clips/1.mp4"]
        assert {source["status"] for source in told} <= {"ok", "starting"}
        assert states[-1]["source"] == "/clips/1.mp4"

    def test_the_page_stays_until_the_last_has_ended(self, page, run):
        source, thread = run(0)
        port = self.port_of(page)
        wait_until(lambda: json.loads(self.get(port, "/health")[1])["sources"][0]["frames"] > 5)
        source.over.set()
        thread.join(LIMIT)
        statuses = [told["status"] for told in json.loads(self.get(port, "/health")[1])["sources"]]
        assert statuses == ["ended", "starting"]
        source, thread = run(1)
        wait_until(lambda: self.get(port, "/health")[0] == 200)
        source.over.set()
        thread.join(LIMIT)
        with pytest.raises(ConnectionRefusedError):
            self.get(port, "/health")


class TestToken:
    """What is served to others needs a token; here loopback plays the others."""

    @pytest.fixture
    def running(self, spot_bundle):
        with Running(spot_bundle, token="a-secret-token") as run:
            yield run

    def test_nothing_is_shown_without(self, running):
        assert "token" not in running.link
        status, _, body = running.get("/")
        assert status == 401
        assert b'name="token"' in body
        assert running.get("/page.js")[0] == 401
        assert running.get("/page.css")[0] == 200
        assert running.get("/live")[0] == 401
        assert running.get("/health")[0] in (200, 503)

    def test_a_cookie_takes_its_place(self, running):
        status, headers, body = running.get("/?token=a-secret-token")
        assert (status, headers["Location"], body) == (303, "/", b"")
        cookie, *flags = headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags)
        assert "a-secret-token" not in cookie
        assert running.get("/", Cookie=cookie)[0] == 200
        assert running.get("/page.js", Cookie=cookie)[0] == 200
        assert running.get("/", Cookie=cookie[:-1])[0] == 403

    def test_programs_may_send_it_as_a_bearer(self, running):
        assert running.get("/page.js", Authorization="Bearer a-secret-token")[0] == 200
        assert running.get("/page.js", Authorization="Bearer another-token")[0] == 403
        assert running.get("/page.js", Authorization="Basic YTpi")[0] == 401

    def test_guesses_are_limited(self, running):
        codes = [running.get(f"/?token=guess-{number}")[0] for number in range(12)]
        assert codes == [403] * 10 + [429] * 2
        assert running.get("/?token=a-secret-token")[0] == 429
        assert running.get("/health")[0] in (200, 503, 429)


def test_other_addresses_get_a_token_that_is_reported_once(spot_bundle):
    with Running(spot_bundle, address="0.0.0.0:0") as run:
        assert len(run.lines) == 1
        query = run.link.partition("/?")[2]
        assert re.fullmatch(r"token=[\w-]{20,}", query)
        assert run.get("/")[0] == 401
        assert run.get(f"/?{query}")[0] == 303


def test_a_port_in_use_ends_the_run_before_it_begins(spot_bundle):
    with socket.create_server(("127.0.0.1", 0)) as other:
        page = LivePage(f"127.0.0.1:{other.getsockname()[1]}", say=print)
        source = SpotSource()
        with Detector(spot_bundle) as detector:
            linker = make_linker("edgekit", 2)
            pipeline = Pipeline(source, detector, linker, [page.sink()])
            with pytest.raises(OutputError, match="another program has that port"):
                pipeline.run()
        assert source.position == 0


class TestCommand:
    """``edgekit run --serve`` as a process."""

    @staticmethod
    def start(spot_bundle, source, *options, **environment):
        command = [sys.executable, "-m", "edgekit", "run", "--bundle", str(spot_bundle)]
        return subprocess.Popen(
            [*command, "--source", str(source), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def test_it_serves_while_it_runs_and_ends_by_a_signal(self, spot_bundle, spot_video):
        video = spot_video(3000)  # two minutes, of which it plays a few seconds
        run = self.start(
            spot_bundle, video, "--realtime", "--serve", "0", "--json", EDGEKIT_TOKEN="12345678"
        )
        line = run.stderr.readline()
        link = re.fullmatch(r"Live page: (http://127\.0\.0\.1:\d+/)\n", line)[1]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(link)
        with urllib.request.urlopen(f"{link}page.js?token=12345678") as answer:
            assert answer.status == 200
        run.send_signal(signal.SIGTERM)
        output, errors = run.communicate(timeout=LIMIT)
        assert run.returncode == 130
        assert errors == ""
        assert "12345678" not in output
        assert json.loads(output)["interrupted"]

    def test_what_cannot_be_served_is_said(self, spot_bundle, spot_video, capfd):
        from edgekit.cli import main

        base = ["run", "--bundle", str(spot_bundle), "--source", str(spot_video(3))]
        for options, status, words in (
            (["--serve", "nonsense"], 2, "HOST:PORT was expected"),
            (["--serve", "0", "--token", "short"], 2, "at least 8"),
            (["--serve", "192.0.2.1:0"], 3, "0.0.0.0:8080"),
        ):
            assert main([*base, *options]) == status
            shown = capfd.readouterr().err
            assert words in shown
            assert "Traceback" not in shown

    def test_without_the_extra(self, spot_bundle, spot_video, capfd, monkeypatch):
        from edgekit.cli import main

        monkeypatch.setitem(sys.modules, "aiohttp", None)
        for name in [name for name in sys.modules if name.startswith("edgekit.media.page.s")]:
            monkeypatch.delitem(sys.modules, name)
        arguments = ["run", "--bundle", str(spot_bundle), "--source", str(spot_video(3))]
        assert main([*arguments, "--serve", "0"]) == 4
        assert install_line("serve") in capfd.readouterr().err
