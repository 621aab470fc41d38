"""What the server of the page does about connections."""

from __future__ import annotations

import contextlib
import http.client

import pytest

from edgekit.runtime.results import RunInfo

INFO = RunInfo("camera 0", 64, 48, 25.0, None, ("walk",))


def is_answered(port):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as viewer:
        try:
            viewer.request("GET", "/health")
            viewer.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        return True


@pytest.mark.parametrize("spare", [16, 1 << 40])
def test_viewers_are_refused_before_the_last_descriptors_are_taken(monkeypatch, spare):
    pytest.importorskip("aiohttp")
    from edgekit.media.page import LivePage, server

    monkeypatch.setattr(server, "_SPARE_DESCRIPTORS", spare)
    said = []
    sink = LivePage("0", say=said.append).sink()
    with contextlib.closing(sink):
        sink.start(INFO)
        port = int(said[0].rstrip("/").rpartition(":")[2])
        assert is_answered(port) == (spare == 16)
