"""Tests the small HTTP server: limits of connections, and no output."""

from __future__ import annotations

import contextlib
import http.client
import resource
import socket

import pytest

from edgekit.media.serving import descriptors, wsgi


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture
def port():
    server = wsgi.serve("127.0.0.1", 0, hello)
    yield server.server_port
    server.shutdown()
    server.server_close()


def connected(port, source="127.0.0.1"):
    client = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))
    with contextlib.suppress(OSError):  # it may be cut already
        client.sendall(b"GET /met")
    return client


def is_cut(client):
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def answer_to(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(sent)
        return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"200"),
        (b"GET / HTTP/1.0\r\n" + 200 * b"A: b\r\n" + b"\r\n", b"431"),
        (b"GET " + 70_000 * b"x" + b" HTTP/1.0\r\n\r\n", b"414"),
    ],
)
def test_no_answer_shows_versions_or_may_be_used_elsewhere(port, sent, status, capfd):
    answer = answer_to(port, sent)
    head = answer.partition(b"\r\n\r\n")[0]
    assert status in head.splitlines()[0]
    assert [line for line in head.splitlines() if line.startswith(b"Server:")] == [
        b"Server: EdgeKit"
    ]
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"Python" not in answer
    assert capfd.readouterr().err == ""


def test_idle_connections_of_one_peer_leave_room_for_others(port):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(port, "127.0.0.2")) for _ in range(40)]
        assert all(map(is_cut, clients[wsgi._MOST_OF_PEER :]))
        assert answer_to(port, b"GET / HTTP/1.0\r\n\r\n").endswith(b"hello")


def test_a_connection_that_lasts_too_long_is_cut(monkeypatch, capfd):
    monkeypatch.setattr(wsgi, "_SECONDS", 0.1)
    server = wsgi.serve("127.0.0.1", 0, hello)
    with connected(server.server_port) as client:
        assert is_cut(client)
    viewer = http.client.HTTPConnection("127.0.0.1", server.server_port)
    with contextlib.closing(viewer):
        viewer.request("GET", "/")
        assert viewer.getresponse().read() == b"hello"
    server.shutdown()
    server.server_close()
    assert capfd.readouterr().err == ""


def test_requests_are_refused_before_the_last_descriptors_are_taken(port, monkeypatch):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    request = b"GET /metrics HTTP/1.0\r\n\r\n"
    assert answer_to(port, request)
    monkeypatch.setattr(descriptors, "_SPARE", limit)  # as if all of them were in use
    with connected(port) as client:
        assert is_cut(client)
