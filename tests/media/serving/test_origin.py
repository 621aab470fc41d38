from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.media.serving.origin import parse_origin


@pytest.mark.parametrize(
    ("text", "origin", "host"),
    [
        ("https://cam.example.com", "https://cam.example.com", "cam.example.com"),
        ("https://cam.example.com/", "https://cam.example.com", "cam.example.com"),
        ("HTTPS://Cam.Example.COM:443", "https://cam.example.com", "cam.example.com"),
        ("https://cam.example.com:8443", "https://cam.example.com:8443", "cam.example.com:8443"),
        ("http://cam:80", "http://cam", "cam"),
        ("http://cam:443", "http://cam:443", "cam:443"),
        ("https://192.0.2.7", "https://192.0.2.7", "192.0.2.7"),
        ("https://[2001:DB8::0:1]:8443/", "https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        (" https://a_b-c.example ", "https://a_b-c.example", "a_b-c.example"),
    ],
)
def test_an_origin_is_what_browsers_say(text: str, origin: str, host: str) -> None:
    found = parse_origin(text)
    assert (str(found), found.authority) == (origin, host)
    assert found.link("a+b") == f"{origin}/?token=a%2Bb"
    assert parse_origin(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cam.example.com",
        "//cam.example.com",
        "https://",
        "https:cam.example.com",
        "ftp://cam.example.com",
        "wss://cam.example.com",
        "file:///etc/passwd",
        "https://cam.example.com/door",
        "https://cam.example.com/?a=b",
        "https://cam.example.com?",
        "https://cam.example.com/#",
        "https://user@cam.example.com",
        "https://user:word@cam.example.com",
        "https://@cam.example.com",
        "https://cam.example.com:",
        "https://cam.example.com:0",
        "https://cam.example.com:70000",
        "https://cam.example.com:x",
        "https://*.example.com",
        "https://cam..example",
        "https://-cam.example",
        "https://cam example",
        "https://cam,https://cam2",
        "https://300.1.1.1",
        "https://[::1",
        "https://[::g]",
        "null",
        "*",
    ],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="public_origin is") as caught:
        parse_origin(text)
    assert "public_origin='https://cam.example.com'" in caught.value.hint


@given(st.text(max_size=40))
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    for word in (text, f"https://{text}"):
        try:
            found = parse_origin(word)
        except UsageError:
            continue
        assert parse_origin(str(found)) == found
