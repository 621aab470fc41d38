"""Tests how the server of the live page handles connections."""

from __future__ import annotations

import contextlib
import http.client
import socket

import pytest

from edgekit.pipeline.results import RunInfo

INFO = RunInfo("camera 0", 64, 48, 25.0, None, ("walk",))


def is_answered(port):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as viewer:
        try:
            viewer.request("GET", "/health")
            viewer.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        return True


@pytest.fixture
def make_page():
    """Starts a page at an address; gives its port, and closes it in the end."""
    pytest.importorskip("aiohttp")
    from edgekit.media.page import LivePage

    with contextlib.ExitStack() as stack:

        def make(address="0", **options):
            said = []
            sink = LivePage(address, say=said.append, **options).sink()
            stack.callback(sink.close)
            sink.start(INFO)
            return int(said[0].partition("/?")[0].rstrip("/").rpartition(":")[2])

        yield make


def connected(port, begin=b"GET /hea", source="127.0.0.2"):
    """A client that has sent the beginning of a request."""
    client = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))
    with contextlib.suppress(OSError):  # it may be cut already
        client.sendall(begin)
    return client


def is_cut(client):
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_half_open_requests_of_one_peer_leave_room_for_others(make_page):
    from edgekit.media.page import server

    port = make_page()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(port)) for _ in range(512)]
        assert all(map(is_cut, clients[server._MOST_OF_PEER :]))
        assert is_answered(port)


def test_the_last_connections_are_kept_for_this_machine(make_page, monkeypatch):
    from edgekit.media.page import server

    port = make_page("0.0.0.0:0", token="a-long-token")
    monkeypatch.setattr(server, "is_loopback", lambda remote: remote == "127.0.0.1")
    with contextlib.ExitStack() as stack:
        for peer in range(2, 6):
            source = f"127.0.0.{peer}"
            clients = [stack.enter_context(connected(port, source=source)) for _ in range(128)]
        assert all(map(is_cut, clients[-server._FOR_THIS_MACHINE :]))
        assert is_answered(port)


def test_who_asks_for_nothing_is_cut(make_page, monkeypatch):
    from edgekit.media.page import server

    monkeypatch.setattr(server, "_FIRST_REQUEST_SECONDS", 0.2)
    port = make_page()
    for begin in (b"", b"GET /hea"):
        with connected(port, begin) as client:
            assert is_cut(client)


@pytest.mark.parametrize("trusted", ["127.0.0.2", None])
def test_a_trusted_proxy_may_have_all_connections(make_page, monkeypatch, trusted):
    from edgekit.media.page import server

    monkeypatch.setattr(server, "_MOST_OF_PEER", 3)
    port = make_page(origins=["https://cam.example.com"], proxies=[trusted] if trusted else [])
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(port)) for _ in range(8)]
        if trusted is None:
            assert all(map(is_cut, clients[3:]))
        else:
            clients[-1].sendall(b"lth HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert clients[-1].recv(12) == b"HTTP/1.1 503"


def test_a_request_that_was_passed_on_needs_the_token_for_health(make_page):
    port = make_page(origins=["https://cam.example.com"], proxies=["127.0.0.1"])
    with contextlib.ExitStack() as stack:
        proxy = http.client.HTTPConnection("127.0.0.1", port)
        stack.enter_context(contextlib.closing(proxy))
        proxy.request("GET", "/health", headers={"X-Forwarded-For": "127.0.0.1"})
        assert proxy.getresponse().status == 401, "who it asks for may be anywhere"
        proxy.close()
        proxy.request("GET", "/health")
        assert proxy.getresponse().status == 503, "no frame has come yet"


FORWARDING = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


@pytest.mark.parametrize("header", FORWARDING)
@pytest.mark.parametrize("proxies", [(), ("192.0.2.1", "10.0.0.0/8")])
@pytest.mark.parametrize("origins", [(), ("https://cam.example.com",)])
def test_who_is_no_trusted_proxy_is_not_believed(make_page, header, proxies, origins):
    port = make_page(token="a-long-token", origins=origins, proxies=proxies)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as peer:
        answers = []
        for number in range(11):
            made_up = f"192.0.2.{number}"
            headers = {header: f"for={made_up}" if header == "Forwarded" else made_up}
            peer.request("GET", f"/?token=wrong-{number}", headers=headers)
            answer = peer.getresponse()
            answer.read()
            answers.append(answer.status)
        assert answers == [403] * 10 + [429]


@pytest.mark.parametrize("spare", [16, 1 << 40])
def test_viewers_are_refused_before_the_last_descriptors_are_taken(make_page, monkeypatch, spare):
    from edgekit.media.serving import descriptors

    monkeypatch.setattr(descriptors, "_SPARE", spare)
    assert is_answered(make_page()) == (spare == 16)
