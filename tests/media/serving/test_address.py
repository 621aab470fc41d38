from __future__ import annotations

import errno
import re
import socket

import pytest

from edgekit.errors import OutputError, UsageError
from edgekit.media.serving.address import Address, is_loopback, listen, parse_address, refusal


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        (":8080", "127.0.0.1", 8080),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("localhost:0", "localhost", 0),
        ("[::1]:65535", "::1", 65535),
        ("cam.lan:9", "cam.lan", 9),
    ],
)
def test_addresses_that_can_be(text, host, port):
    assert parse_address(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", "x", "65536", "-1", "::1:80", "http://x:80", "a:b", "a:80/", "a b:80", "1:2:3", "８０"],
)
def test_addresses_that_cannot_be(text):
    with pytest.raises(UsageError, match=r"HOST:PORT was expected(.|\n)*serve='8080'"):
        parse_address(text)


def test_what_is_loopback():
    for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"):
        assert is_loopback(host)
    for host in ("0.0.0.0", "::", "192.168.0.2", "::ffff:10.0.0.1", "example.com", "", "127.1"):
        assert not is_loopback(host)


def test_links_can_be_followed_from_elsewhere():
    assert Address("127.0.0.1", 80).link() == "http://127.0.0.1:80/"
    assert Address("::1", 80).link("a/b") == "http://[::1]:80/?token=a%2Fb"
    assert "//0.0.0.0" not in Address("0.0.0.0", 80).link()


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OutputError, match=rf"another program has that port.*\n.*:{port + 1}"):
            listen(Address("127.0.0.1", port))


def test_the_hint_for_a_port_that_is_taken_can_be_followed_with_ipv6():
    try:
        server, address = listen(Address("::1", 0))
    except OutputError:
        pytest.skip("this machine has no IPv6")
    with server, pytest.raises(OutputError, match="another program") as caught:
        listen(address)
    found = re.search(r"'(.+)'", caught.value.hint)
    assert found is not None
    assert parse_address(found[1]) == Address("::1", address.port % 65535 + 1)


def test_an_address_that_is_not_ours():
    with pytest.raises(OutputError, match=r"0\.0\.0\.0:8080"):
        listen(Address("192.0.2.1", 8080))


@pytest.mark.parametrize("option", ["serve", "metrics"])
def test_a_port_that_only_root_may_open(option):
    error = refusal(Address("::1", 80), PermissionError(errno.EACCES, "Permission denied"), option)
    what = {"serve": "The page", "metrics": "Metrics"}[option]
    assert (
        error.message
        == f"{what} cannot be served at [::1]:80: the system keeps that port for root."
    )
    assert error.hint == f"Choose a port from 1024 up: {option}='8080'"


def test_a_name_that_nobody_has():
    with pytest.raises(OutputError, match="Name an address of this machine"):
        listen(Address("nobody.invalid", 8080))


def test_any_free_port():
    listener, address = listen(Address("127.0.0.1", 0))
    with listener:
        assert address.port > 0
        assert listener.getsockname() == tuple(address)
