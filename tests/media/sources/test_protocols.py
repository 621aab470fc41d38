"""Tests that FFmpeg opens nothing that a file or server names, with both readers."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from edgekit.errors import MediaError
from edgekit.media import open_source
from edgekit.media.sources import opening
from edgekit.media.sources._protocols import file_limits, in_opencv, stream_limits
from edgekit.media.sources.source import SourceOptions

NAMES = [
    "concat:inner.avi|",
    "subfile,,start,0,end,0,,:inner.avi",
    "async:http:127.0.0.1:9.avi",
    "cache:inner.avi",
    "crypto:inner.avi",
    "data:video,inner.avi",
    "file:inner.avi",
    "pipe:0",
    "video=0",
    "fd:",
    "%03d.avi",
    "a*.avi",
    "-.avi",
]
PLAYLISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{inner}\n#EXT-X-ENDLIST\n",
    "a.avi": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{inner}\n#EXT-X-ENDLIST\n",
    "a.ffconcat": "ffconcat version 1.0\nfile {inner}\n",
    "b.avi": "ffconcat version 1.0\nfile inner.avi\n",
    "a.mpd": '<?xml version="1.0"?><MPD profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" '
    'type="static"><Period><AdaptationSet><Representation id="1"><BaseURL>{inner}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 9 RTP/AVP 96\n",
}


@pytest.fixture(params=["pyav", "opencv"])
def reader(request, monkeypatch):
    if request.param == "pyav":
        pytest.importorskip("av")
    monkeypatch.setattr(opening, "_has_pyav", lambda: request.param == "pyav")
    return request.param


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_file_whatever_ffmpeg_would_take_it_for(
    make_video, tmp_path, monkeypatch, name
):
    inner = make_video("inner.avi", frames=3, codec="MJPG")
    outer = make_video("outer.avi", frames=5, codec="MJPG")
    shutil.move(outer, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_source(name) as source:
        assert len(list(source)) == 5
    (tmp_path / name).unlink()
    with pytest.raises(MediaError, match="There is no file"):
        open_source(name)
    assert inner.is_file()


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_is_refused(make_video, tmp_path, name):
    inner = make_video("inner.avi", frames=3, codec="MJPG")
    path = tmp_path / "folder" / name
    path.parent.mkdir()
    shutil.copy(inner, path.parent)
    path.write_text(PLAYLISTS[name].format(inner=inner))
    with pytest.raises(MediaError, match="is a playlist"):
        open_source(path)


@pytest.mark.parametrize("name", PLAYLISTS)
def test_ffmpeg_itself_refuses_what_is_not_seen_to_be_a_playlist(make_video, tmp_path, name):
    av = pytest.importorskip("av")
    inner = make_video("inner.avi", frames=3, codec="MJPG")
    path = tmp_path / name
    path.write_text(PLAYLISTS[name].format(inner=inner))
    with pytest.raises((OSError, ValueError)):
        av.open(str(path), options=file_limits(av.formats_available), timeout=5)


@pytest.mark.parametrize("name", ["a.m3u8", "a.ffconcat", "a.sdp"])
def test_what_a_server_names_is_not_opened_here(make_video, tmp_path, served, reader, name):
    inner = make_video("inner.avi", frames=3, codec="MJPG")
    (tmp_path / name).write_text(PLAYLISTS[name].format(inner=f"file:{inner}"))
    with pytest.raises(MediaError):
        open_source(f"{served}/{name}", SourceOptions(patience=5))


def test_streams_speak_what_their_scheme_says():
    assert stream_limits("RTSP://host/a") == {"protocol_whitelist": "rtp,srtp,udp,tcp"}
    assert stream_limits("udp://:1234") == {"protocol_whitelist": "udp"}
    for scheme in ("http", "https"):
        assert "file" not in stream_limits(f"{scheme}://host")["protocol_whitelist"].split(",")


@pytest.mark.parametrize("given", [None, "video_codec;x|protocol_whitelist;file,http"])
def test_the_limits_go_before_what_the_environment_says(monkeypatch, given):
    variable = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    monkeypatch.delenv(variable, raising=False)
    if given:
        monkeypatch.setenv(variable, given)
    with in_opencv({"rtsp_transport": "udp", "protocol_whitelist": "tcp"}):
        found = os.environ[variable]
    assert found.split("|")[-1] == "protocol_whitelist;tcp"
    assert os.environ.get(variable) == given


def test_pictures_whose_names_look_like_patterns(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "%03d.png"), np.zeros((8, 8, 3), np.uint8))
    with open_source(tmp_path / "%03d.png") as source:
        assert len(list(source)) == 1


@pytest.mark.parametrize("head", [b"<!---->" * 500, b"<!--" * 1000, b"<?xml?>" + b"<!-- -->" * 500])
def test_a_file_of_comments_is_recognized_at_once(tmp_path, head):
    path = tmp_path / "clip.mp4"
    path.write_bytes(head)
    with pytest.raises(MediaError):
        open_source(path)
