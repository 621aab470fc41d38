from __future__ import annotations

import pytest

from edgekit.media.sources.headers.completeness import lacks_end

FORMATS_OF_Y4M = ("yuv420p", "yuv411p", "yuv422p", "yuv444p", "gray", "yuv420p10", "gray12")


@pytest.mark.parametrize("name", ["x.mp4", "x.avi", "x.mkv", "x.webm", "x.wmv", "x.mov"])
def test_every_cut_is_seen_and_a_whole_file_is_whole(ffmpeg, name):
    path = ffmpeg("-c:v", "libvpx" if name == "x.webm" else "mpeg4", "-frames:v", "5", name)
    content = path.read_bytes()
    assert not lacks_end(path)
    for share in (0.2, 0.5, 0.9, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        assert lacks_end(path)


@pytest.mark.parametrize(
    "options",
    [
        ("x.gif",),
        ("-c:v", "libtheora", "x.ogv"),
        ("-c:v", "mjpeg", "x.mjpeg"),
        ("-c:v", "flv", "x.flv"),
        ("-c:v", "libvpx", "x.ivf"),
        ("-c:v", "mpeg2video", "x.mxf"),
        *(("-pix_fmt", form, "-strict", "-1", "x.y4m") for form in FORMATS_OF_Y4M),
    ],
)
def test_a_missing_mark_or_part_of_a_picture_is_seen(ffmpeg, options):
    # Half of the height and a quarter of the width are not whole: chroma is rounded up.
    path = ffmpeg("-vf", "scale=62:47", "-frames:v", "5", *options)
    content = path.read_bytes()
    assert not lacks_end(path)
    for share in (0.23, 0.5, 0.9, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        assert lacks_end(path)


@pytest.mark.parametrize(
    ("form", "rate", "height"), [("yuv420p", "25", 576), ("yuv411p", "30000/1001", 480)]
)
def test_a_part_of_a_frame_of_dv_is_seen(ffmpeg, form, rate, height):
    size = ("-vf", f"scale=720:{height}", "-r", rate, "-frames:v", "2")
    path = ffmpeg(*size, "-pix_fmt", form, "-c:v", "dvvideo", "x.dv")
    assert not lacks_end(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert lacks_end(path)


def test_bytes_after_the_trailer_of_a_gif_are_no_cut(ffmpeg):
    path = ffmpeg("-frames:v", "2", "x.gif")
    path.write_bytes(path.read_bytes() + bytes(7))
    assert not lacks_end(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"\0\0\0\x08ftyp",
        b"\x1aE\xdf\xa3",
        b"x" * 99,
        b"YUV4MPEG2 W-1\n",
        b"\x06\x0e\x2b\x34",
    ],
)
def test_other_files_announce_nothing(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert not lacks_end(path)
