from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgekit.media.sources.headers.colours import declares_unconvertible
from edgekit.media.sources.headers.interlacing import is_interlaced
from edgekit.media.sources.headers.tracks import tracks_of

CODECS = ["h264", "hevc", "mpg2", "FMP4", "WVC1", "apch", "AVdn", "MJPG", "ffv1", ""]
HEADS = [b"", b"\0\0\1", b"\0\0\0\1\x67", b"\0\0\1\x42\1", b"\0\0\1\xb5\x14", b"\0\0\1\x20"]


@given(st.sampled_from(CODECS), st.binary(max_size=30), st.sampled_from(HEADS), st.binary())
def test_no_bytes_are_too_much(codec, extradata, head, rest):
    assert is_interlaced(codec, extradata, [head + rest]) in (True, False)
    assert is_interlaced(codec, head + rest, []) in (True, False)
    assert declares_unconvertible(codec, extradata, [head + rest]) in (True, False)
    assert declares_unconvertible(codec, head + rest, []) in (True, False)


CONTAINERS = [b"\0\0\0\x10ftyp", b"\x1aE\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"YUV4MPEG2 "]
PACKETS = [b"\x47\x40\0\x10", b"\x47\x40\0\x30", b"\x47\x41\0\x10"]


@given(st.sampled_from(CONTAINERS), st.binary())
def test_no_container_is_too_broken(tmp_path_factory, head, rest):
    path = tmp_path_factory.mktemp("x") / "x"
    path.write_bytes(head + rest)
    assert tracks_of(path).videos >= 0


@given(st.lists(st.tuples(st.sampled_from(PACKETS), st.binary(max_size=184)), max_size=5))
def test_no_transport_stream_is_too_broken(tmp_path_factory, packets):
    path = tmp_path_factory.mktemp("x") / "x"
    path.write_bytes(b"".join((head + rest).ljust(188, b"\xff") for head, rest in packets))
    assert tracks_of(path).videos >= 0
