"""Tests what a device makes of the health page of a service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from edgekit.deploy.on_device.service import _served


class _Page(BaseHTTPRequestHandler):
    text = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *words: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """The address of a page that answers with ``_Page.text``."""
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/health"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "text",
    [b"{}", b"[]", b"3", b'{"status": "ok"}', b'{"status": "ok", "sources": [{"rate": "fast"}]}'],
)
def test_a_page_of_another_version_or_program_is_silent(address, text, monkeypatch):
    monkeypatch.setattr(_Page, "text", text)
    health = _served(address)
    assert (health.level, health.rate) == ("silent", None)
    assert health.words == f"{address} does not answer as a run of EdgeKit does"


def test_further_fields_change_nothing(address, monkeypatch):
    source = b'{"rate": 4.5, "error": null, "later": 1}'
    monkeypatch.setattr(_Page, "text", b'{"status": "ok", "later": [], "sources": [%b]}' % source)
    assert _served(address) == ("ok", 4.5, "ok, 4.5 frames/s")
