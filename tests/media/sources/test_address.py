from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UsageError
from edgekit.media import open_source
from edgekit.media.sources.address import is_address, without_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://cam/stream1", "rtsp://cam/stream1"),
        ("rtsp://user:secret@cam:554/stream1", "rtsp://cam:554/stream1"),
        ("rtsp://user:se@cret@cam/1", "rtsp://cam/1"),
        ("rtsp://user:se/cret@cam/1", "rtsp://..."),
        ("rtsp://user:se?cret@cam/1", "rtsp://..."),
        ("rtsp://user:s@e/cret@cam/1", "rtsp://..."),
        ("http://cam/video?token=secret", "http://cam/video?..."),
        ("http://cam?secret", "http://cam?..."),
        ("http://cam/video#secret", "http://cam/video?..."),
        ("rtsp://cam/realmonitor?channel=2&subtype=0&x=secret", None),
        ("rtsp://cam/user=admin_password=secret_channel=1_stream=0.sdp", None),
        ("rtsp://cam/live;token=secret/1", "rtsp://cam/live;token=.../1"),
        ("rtsp:user:secret@cam", "rtsp:..."),
    ],
)
def test_secrets_are_left_out(address, shown):
    found = without_secrets(address)
    assert "secret" not in found
    assert "cret" not in found
    assert shown is None or found == shown


def test_the_channel_of_a_recorder_is_no_secret():
    address = "rtsp://user:pw@nvr/cam/realmonitor?channel=2&subtype=0&sign=12"
    assert without_secrets(address) == "rtsp://nvr/cam/realmonitor?channel=2&subtype=0&..."


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_no_password_is_shown_whatever_it_is_made_of(password):
    marked = f"<<{password}>>"
    shown = without_secrets(f"rtsp://user:{marked}@cam.example/stream1")
    assert "<" not in shown
    assert ">" not in shown


def test_what_is_an_address():
    assert is_address("rtsp://cam")
    assert is_address("rtsp:cam")
    assert not is_address("file:///tmp/a.mp4")
    assert not is_address("C:clip.mp4")
    assert not is_address("clip.mp4")


@pytest.mark.parametrize(
    "address",
    [
        "ftp://user:secret@cam/x",
        "rtsp://",
        "rtsp:user:secret@cam",
        "user:secret@cam:554/stream1",
        "user:secret/x@cam",
    ],
)
def test_no_address_of_a_stream_is_wrong_usage(address):
    with pytest.raises(UsageError, match="is not the address of a stream") as caught:
        open_source(address)
    assert "secret" not in str(caught.value)


def test_a_file_may_be_named_like_an_address_without_a_scheme(make_video, monkeypatch):
    path = make_video("a:b@c.mp4", frames=3)
    monkeypatch.chdir(path.parent)
    with open_source(path.name) as source:
        assert len(list(source)) == 3


def test_the_address_of_a_file_with_a_zero_byte_is_wrong_usage():
    with pytest.raises(UsageError, match="zero byte"):
        open_source("file:///tmp/a%00b.mp4")
