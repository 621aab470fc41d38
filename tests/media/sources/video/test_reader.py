"""Tests files of every kind, with PyAV's reader and with OpenCV's."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import re
import socket
import struct
import subprocess
import threading
import types

import cv2
import numpy as np
import pytest

from edgekit.errors import MediaError, MissingDependencyError, UsageError
from edgekit.media import open_source
from edgekit.media.sources import opening
from edgekit.media.sources.source import SourceOptions
from edgekit.media.sources.video import _live_timing, _shown_pictures
from edgekit.system.installation import install_line
from tests.waiting import LIMIT

READS = 9


def frames_of(spec):
    with open_source(spec) as source:
        return list(source)


def refusal_of(spec):
    with pytest.raises(MissingDependencyError) as caught:
        open_source(spec)
    assert install_line("video") in caught.value.hint
    return caught.value.message


def level_of(frames, path, *filters):
    """Mean difference from what the real ffmpeg shows."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), *filters]
    height, width, _ = frames[0].image.shape
    shown = subprocess.run(
        [*command, "-pix_fmt", "bgr24", "-f", "rawvideo", "-"], check=True, capture_output=True
    ).stdout
    expected = np.frombuffer(shown, np.uint8).reshape(-1, height, width, 3)
    assert len(expected) == len(frames)
    return np.abs(np.stack([frame.image for frame in frames]).astype(int) - expected).mean()


SOUND_FILES = {
    "x.mp4": ("-c:v", "libx264"),
    "x.mkv": ("-c:v", "libx264", "-pix_fmt", "yuv422p"),
    "x.mov": ("-c:v", "libx264", "-pix_fmt", "yuv444p10le"),
    "x.ts": ("-c:v", "libx264", "-bf", "2"),
    "x.flv": ("-c:v", "libx264"),
    "x.avi": ("-c:v", "mpeg4", "-bf", "2"),
    "y.avi": ("-c:v", "libx264"),
    "z.avi": ("-c:v", "mjpeg"),
    "x.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "x.mpg": ("-c:v", "mpeg2video", "-bf", "2"),
    "x.wmv": ("-c:v", "wmv2"),
    "x.gif": (),
    "x.h264": ("-c:v", "libx264"),
    "alpha.mkv": ("-c:v", "ffv1", "-pix_fmt", "bgra"),
    "gray.mkv": ("-c:v", "ffv1", "-pix_fmt", "gray16le"),
    "odd.mp4": ("-vf", "crop=151:109", "-c:v", "mpeg4"),
    "full.mp4": ("-vf", "scale=out_range=pc", "-color_range", "pc", "-c:v", "libx264"),
    "hd.mp4": ("-c:v", "libx264", "-colorspace", "bt709", "-color_primaries", "bt709"),
    "old.mp4": ("-c:v", "libx264", "-color_primaries", "smpte170m", "-color_trc", "smpte170m"),
    "late.mp4": ("-c:v", "libx264", "-output_ts_offset", "5"),
    "times.mkv": ("-vf", "select=not(between(n\\,5\\,12))", "-c:v", "libx264"),
    "one.mp4": ("-frames:v", "1", "-c:v", "libx264"),
}


@pytest.mark.parametrize("name", SOUND_FILES)
def test_both_readers_give_the_same_to_the_bit(ffmpeg, monkeypatch, caplog, name):
    pytest.importorskip("av")
    path = ffmpeg(*SOUND_FILES[name], name)
    given = []
    for reads in (True, False):
        monkeypatch.setattr(opening, "_has_pyav", lambda reads=reads: reads)
        with open_source(path) as source:
            head = source.width, source.height, source.fps, source.frames, source.live
            frames = list(source)
        given.append((head, [(f.index, f.time, f.gap, f.sample_aspect) for f in frames], frames))
    (first_head, first_times, first), (head, times, second) = given
    assert first_head == head
    assert first_times == times
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    assert first[0].image.flags.writeable
    assert caplog.text == ""


INTERLACED = {
    "h264.mp4": ("-vf", "setfield=tff", "-c:v", "libx264", "-x264opts", "tff=1"),
    "h264.ts": ("-vf", "setfield=bff", "-c:v", "libx264", "-x264opts", "bff=1"),
    "h264.mkv": ("-vf", "setfield=tff", "-c:v", "libx264", "-x264opts", "tff=1"),
    "mpeg2.ts": ("-vf", "setfield=tff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct"),
    "mpeg2.mpg": ("-vf", "setfield=bff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct"),
    "mpeg4.avi": ("-vf", "setfield=tff", "-c:v", "mpeg4", "-flags", "+ilme+ildct"),
    "mpeg4.mp4": ("-vf", "setfield=tff", "-c:v", "mpeg4", "-flags", "+ilme+ildct"),
    "ffv1.mkv": ("-vf", "setfield=tff", "-c:v", "ffv1", "-flags", "+ildct"),
    "prores.mov": ("-vf", "setfield=tff", "-c:v", "prores_ks", "-flags", "+ildct"),
    "dv.avi": ("-vf", "scale=720:576", "-pix_fmt", "yuv420p", "-c:v", "dvvideo"),
    "top.y4m": ("-vf", "setfield=tff"),
    "bottom.y4m": ("-vf", "setfield=bff"),
}


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_video_is_deinterlaced_as_ffmpeg_does_or_refused(ffmpeg, reader, served, name):
    path = ffmpeg(*INTERLACED[name], name)
    if reader == "opencv":
        assert f"interlaced video ({path})" in refusal_of(path)
        if name.startswith(("h264", "mpeg", "dv")):
            assert "interlaced video" in refusal_of(f"{served}/{name}")
        return
    frames = frames_of(path)
    assert [frame.index for frame in frames] == list(range(25))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(25) / 25, abs=2e-3)
    assert level_of(frames, path, "-vf", "yadif=mode=send_frame:deint=interlaced") < 1.5


def test_ut_video_whose_header_declares_fields_is_deinterlaced_or_refused(ffmpeg, reader):
    path = ffmpeg("-vf", "setfield=tff", "-pix_fmt", "yuv422p", "-c:v", "utvideo", "x.avi")
    content = bytearray(path.read_bytes())
    flags = content.find(b"strf") + 8 + 40 + 12  # after the chunk's header and the bitmap's
    assert content[flags - 8 : flags - 4] == b"YUY2"
    content[flags + 1] |= 8
    path.write_bytes(content)
    if reader == "opencv":
        assert "interlaced video" in refusal_of(path)
        return
    assert level_of(frames_of(path), path, "-vf", "yadif=mode=send_frame:deint=interlaced") < 1.5


def turned(path, a, b, c, d):
    """Gives the video track of an MP4 a display matrix."""
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = struct.pack(
        ">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30
    )
    path.write_bytes(content)
    return path


TURNS = {
    (1, 0, 0, 1): lambda image: image,
    (0, 1, -1, 0): lambda image: np.rot90(image, -1),
    (-1, 0, 0, -1): lambda image: np.rot90(image, 2),
    (0, -1, 1, 0): lambda image: np.rot90(image),
    (-1, 0, 0, 1): np.fliplr,
    (1, 0, 0, -1): np.flipud,
    (0, 1, 1, 0): lambda image: image.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda image: np.rot90(image, 2).transpose(1, 0, 2),
}


@pytest.mark.parametrize("matrix", TURNS)
def test_a_video_comes_upright(ffmpeg, reader, served, matrix):
    path = ffmpeg("-c:v", "libx264", "x.mp4")
    expected = [TURNS[matrix](frame.image) for frame in frames_of(path)]
    turned(path, *matrix)
    a, b, c, d = matrix
    if a * d - b * c < 0 and reader == "opencv":
        assert "mirrored" in refusal_of(path)
        return
    frames = frames_of(path)
    assert all(np.array_equal(f.image, image) for f, image in zip(frames, expected, strict=True))
    if reader == "pyav":
        again = frames_of(f"{served}/x.mp4")
        assert all(np.array_equal(f.image, g.image) for f, g in zip(frames, again, strict=True))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_turn_that_the_codec_reports_holds_for_the_pictures_after_it(ffmpeg, reader, codec):
    encoder = {"h264": "libx264", "hevc": "libx265"}[codec]
    plain = ffmpeg("-c:v", encoder, "-frames:v", "5", "-bf", "0", f"plain.{codec}")
    turned = plain.with_name(f"turned.{codec}")
    # Display orientation: neither cancelled nor mirrored, a quarter counterclockwise, to go on.
    unit, first = {
        "h264": (b"\x06\x2f\x03\x08\x00\x09\x80", rb"\x00\x00\x01\x65"),
        "hevc": (b"\x4e\x01\x2f\x03\x08\x00\x18\x80", rb"\x00\x00\x01[\x26\x28]"),
    }[codec]
    content = plain.read_bytes()
    place = re.search(first, content).start()
    content = content[:place] + b"\x00\x00\x01" + unit + content[place:]
    # FFmpeg lets that of HEVC go on for ever.
    after = plain.read_bytes() if codec == "h264" else b""
    turned.write_bytes(plain.read_bytes() + content + after)
    if reader == "opencv":
        assert "its codec turns" in refusal_of(turned)
        return
    stored = [frame.image for frame in frames_of(plain)]
    expected = [*stored, *map(np.rot90, stored), *(stored if after else ())]
    given = [frame.image for frame in frames_of(turned)]
    assert len(given) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi"])
def test_pixels_that_are_not_square_are_reported(ffmpeg, reader, name):
    path = ffmpeg("-vf", "setsar=2/1", "-c:v", "mpeg4", name)
    with open_source(path) as source:
        assert source.sample_aspect == 2.0
        assert all(frame.sample_aspect == 2.0 for frame in source)


def test_pixels_of_a_turned_video_are_turned_too(ffmpeg, reader):
    path = turned(ffmpeg("-vf", "setsar=2/1", "-c:v", "libx264", "x.mp4"), 0, 1, -1, 0)
    with open_source(path) as source:
        assert source.sample_aspect == 0.5


def test_pixels_that_cannot_be_so_wide_are_taken_for_square(ffmpeg, reader, caplog):
    path = ffmpeg("-vf", "setsar=100/1", "-c:v", "libx264", "x.mp4")
    with open_source(path) as source:
        assert source.sample_aspect == 1.0
    assert "declares pixels 100 times as wide as high" in caplog.text


def write_cover(ffmpeg):
    return ffmpeg("-frames:v", "1", "-vf", "scale=300:300", "cover.png")


@pytest.mark.parametrize("order", [("1", "0"), ("0", "1")])
def test_a_cover_picture_is_no_video(ffmpeg, reader, served, order, caplog):
    cover, clip = write_cover(ffmpeg), ffmpeg("-c:v", "libx264", "clip.mp4")
    maps = [word for number in order for word in ("-map", number)]
    mark = f"-disposition:v:{order.index('1')}"
    path = ffmpeg(
        "-i", clip, "-i", cover, *maps, "-c", "copy", mark, "attached_pic", "x.mp4", picture=""
    )
    if reader == "opencv":
        assert len(frames_of(path)) == 25
        return
    for place in (path, f"{served}/x.mp4"):
        frames = frames_of(place)
        assert [frame.image.shape for frame in frames] == [(120, 160, 3)] * 25
    assert caplog.text == ""


MARKLESS = [("x.avi", 0), ("x.ts", 0), ("x.wmv", 0), ("x.mp4", None)]


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi", "x.ts", "x.wmv"])
@pytest.mark.parametrize(("marked", "expected"), [(0, 0), (1, 1), (None, 1)])
def test_of_several_streams_the_default_or_else_the_largest_is_read(
    ffmpeg, reader, caplog, name, marked, expected
):
    if (name, marked) in MARKLESS:
        return  # only Matroska marks any, and in an MP4 ffmpeg marks one
    small = ffmpeg("-c:v", "libx264", "small.mp4")
    large = ffmpeg("-vf", "scale=320:240", "-c:v", "libx264", "large.mp4")
    marks = [
        word
        for number in range(2)
        for word in (f"-disposition:v:{number}", "default" if number == marked else "0")
    ]
    inputs = ["-i", small, "-i", large, "-map", "0", "-map", "1"]
    path = ffmpeg(*inputs, "-c", "copy", *marks, name, picture="")
    if reader == "opencv":
        assert "one of 2 video streams" in refusal_of(path)
        return
    frames = frames_of(path)
    assert len(frames) == 25
    assert frames[0].image.shape[0] == (120, 240)[expected]
    assert f"number {expected + 1} of them" in caplog.text


def test_av1_is_read_or_named(ffmpeg, reader, served):
    path = ffmpeg("-c:v", "libaom-av1", "-cpu-used", "8", "-frames:v", "5", "x.mp4")
    if reader == "opencv":
        assert "codec AV1" in refusal_of(path)
        return
    assert len(frames_of(path)) == len(frames_of(f"{served}/x.mp4")) == 5


def write_unseekable(ffmpeg, tmp_path, *options):
    """As browsers record: without a duration and without the duration of a frame."""
    path = ffmpeg(*options, "seekable.webm")
    with (tmp_path / "x.webm").open("wb") as file:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", path, "-c", "copy", "-f", "matroska"]
        subprocess.run([*command, "-"], stdout=file, check=True)
    content = (tmp_path / "x.webm").read_bytes()
    place = content.find(b"\x23\xe3\x83")  # DefaultDuration becomes Void
    if place >= 0:
        size = 4 + (content[place + 3] & 0x7F)
        void = b"\xec" + bytes([0x80 | size - 2]) + bytes(size - 2)
        content = content[:place] + void + content[place + size :]
    (tmp_path / "x.webm").write_bytes(content)
    return tmp_path / "x.webm"


def test_a_unit_of_time_is_no_frame_rate(ffmpeg, tmp_path, reader):
    path = write_unseekable(ffmpeg, tmp_path, "-c:v", "libvpx", "-r", "25")
    with open_source(path) as source:
        assert source.fps == pytest.approx(25, rel=0.1)
        assert [frame.time for frame in source] == pytest.approx(np.arange(25) / 25, abs=2e-3)


BARE = {
    "x.h264": ("-c:v", "libx264", "-bf", "2"),
    "field.h264": ("-vf", "setfield=tff", "-c:v", "libx264", "-x264opts", "tff=1"),
    "x.hevc": ("-c:v", "libx265", "-x265-params", "log-level=error"),
    "x.m2v": ("-c:v", "mpeg2video", "-f", "mpeg2video"),
}


@pytest.mark.parametrize("rate", [10, 60])
@pytest.mark.parametrize("name", BARE)
def test_video_without_a_container_has_the_rate_of_its_codec(ffmpeg, reader, served, name, rate):
    """FFmpeg's average rate of such a file is 25, whatever the codec declares."""
    path = ffmpeg("-r", str(rate), *BARE[name], name)
    if name.startswith("field") and reader != "pyav":
        return  # refused, as all interlaced video
    # MPEG-2 declares its rate in another way, and OpenCV gives no packets of a stream.
    once = name == "x.m2v" and reader != "pyav"
    for place in [path] if once else [path, f"{served}/{path.name}"]:
        with open_source(place) as source:
            assert source.fps == pytest.approx(rate)
            times = [frame.time for frame in source]
        assert times == pytest.approx(np.arange(len(times)) / rate, abs=1e-6)


def test_a_recording_without_duration_ends_where_the_server_says(ffmpeg, tmp_path, reader, served):
    path = write_unseekable(ffmpeg, tmp_path, "-c:v", "libvpx")
    with open_source(f"{served}/{path.name}") as source:
        assert not source.live
        assert len(list(source)) == 25


@contextlib.contextmanager
def answering(answer):
    """The address of a server that gives each client these bytes, and closes."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"


@pytest.mark.parametrize("share", [1, 0.6])
def test_a_recording_without_a_length_ends_where_the_server_closes(ffmpeg, pyav, share, caplog):
    content = ffmpeg("-c:v", "libx264", "-movflags", "+faststart", "x.mp4").read_bytes()
    sent = content[: int(len(content) * share)]
    with answering(b"HTTP/1.0 200 OK\r\n\r\n" + sent) as address:
        frames = frames_of(address)
    assert len(frames) == 25 if share == 1 else 0 < len(frames) < 25
    assert ("of its 25 frames" in caplog.text) == (share < 1)


def test_a_recording_with_a_length_that_breaks_off_says_after_how_many_frames(ffmpeg, pyav):
    content = ffmpeg("-vf", "loop=2:25", "-c:v", "mjpeg", "-q:v", "1", "x.mkv").read_bytes()
    head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content)
    with answering(head + content[: len(content) * 3 // 4]) as address:
        source = open_source(address)
        with source, pytest.raises(MediaError, match=r"broke off after \d+ frames: ") as caught:
            list(source)
    assert "unknown host" not in caught.value.message
    assert "password" not in caught.value.hint


def test_an_error_of_the_server_is_no_unknown_host(pyav):
    expected = pytest.raises(MediaError, match=r"reports an error of its own \(5xx\)\.\n")
    with answering(b"HTTP/1.0 503 Busy\r\n\r\n") as address, expected:
        open_source(address)


def test_empty_chunks_of_an_avi_are_no_missing_frames(ffmpeg, pyav, served, caplog):
    ffmpeg("-vf", "select=not(between(n\\,5\\,12))", "-vsync", "vfr", "-c:v", "mpeg4", "x.avi")
    assert len(frames_of(f"{served}/x.avi")) == 17
    assert caplog.text == ""


def test_an_mp4_with_its_index_last_needs_a_server_that_gives_parts(ffmpeg, pyav, served):
    # More than FFmpeg keeps of what it has read.
    content = ("-vf", "noise=alls=100:allf=t", "-c:v", "libx264", "-crf", "1", "-frames:v", "9")
    path = ffmpeg(*content, "x.mov")
    assert len(frames_of(path)) == 9
    head = b"HTTP/1.0 200 OK\r\n\r\n"  # as a server answers that does not know the length
    with answering(head + path.read_bytes()) as address:
        for place in (f"{served}/x.mov", address):
            with pytest.raises(MediaError, match="index of this MP4 comes after its pictures"):
                open_source(place)
    ffmpeg(*content, "-movflags", "+faststart", "y.mov")
    assert len(frames_of(f"{served}/y.mov")) == 9


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.ts", "x.mov"])
def test_a_cut_without_encoding_is_no_damage(ffmpeg, reader, caplog, name):
    clip = ffmpeg("-c:v", "libx264", "-g", "50", "-bf", "2", "whole.mp4")
    path = ffmpeg("-ss", "0.4", "-i", clip, "-c", "copy", name, picture="")
    assert frames_of(path)
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi", "x.wmv"])
def test_a_file_without_its_end_is_called_truncated(ffmpeg, reader, caplog, name):
    codec = "wmv2" if name == "x.wmv" else "mpeg4"
    path = ffmpeg("-c:v", codec, "-movflags", "+faststart", name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert 0 < len(frames_of(path)) < 25
    assert f"{path} is truncated: its end is missing" in caplog.text
    assert "damaged" not in caplog.text


def test_garbage_in_the_middle_is_called_damage(ffmpeg, pyav, caplog):
    path = ffmpeg("-c:v", "libx264", "-crf", "10", "x.ts")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 188 * 188
    content[middle : middle + 8000] = np.random.default_rng(1).bytes(8000)
    path.write_bytes(content)
    assert len(frames_of(path)) > 10
    assert f"{path} is damaged" in caplog.text
    assert "truncated" not in caplog.text


@pytest.mark.parametrize("name", ["x.mp3", "x.m4a", "x.mka", "x.mp4"])
@pytest.mark.parametrize("cover", [False, True])
def test_sound_with_or_without_a_cover_is_called_sound(ffmpeg, pyav, name, cover):
    given = ["-i", write_cover(ffmpeg), "-map", "0", "-map", "1"] if cover else []
    if cover and name == "x.mka":
        return  # Matroska attaches files
    marks = ["-disposition:v:0", "attached_pic", "-c:v", "copy"] if cover else []
    path = ffmpeg(*given, *marks, name, picture="sine=duration=1")
    with pytest.raises(MediaError, match="sound only"):
        open_source(path)


def test_a_change_of_size_goes_on_in_the_first_size(ffmpeg, reader):
    small = ffmpeg("-c:v", "libx264", "-frames:v", "5", "-f", "h264", "small.h264")
    large = ffmpeg("-vf", "scale=320:240", "-c:v", "libx264", "-frames:v", "5", "large.h264")
    path = small.with_name("x.h264")
    path.write_bytes(small.read_bytes() + large.read_bytes())
    assert [frame.image.shape for frame in frames_of(path)] == [(120, 160, 3)] * 10


def test_a_named_pipe_is_called_one(tmp_path, reader):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(MediaError, match="is a named pipe") as caught:
        open_source(path)
    assert f"--source - < {path}" in caught.value.hint


@pytest.mark.parametrize(
    "address", ["file://{}/a%20b.mp4", "file://localhost{}/a%20b.mp4", "FILE:{}/a b.mp4"]
)
def test_the_address_of_a_file_is_decoded(make_video, tmp_path, reader, address):
    make_video("a b.mp4", frames=3)
    assert len(frames_of(address.format(tmp_path))) == 3


def test_a_file_on_another_host_is_refused():
    with pytest.raises(UsageError, match="host 'server'"):
        open_source("file://server/clip.mp4")


def test_a_percent_sign_in_the_name_of_an_animation_is_no_pattern(ffmpeg, reader):
    path = ffmpeg("-frames:v", "5", "x.gif")
    path = path.rename(path.with_name("x%03d.gif"))
    assert len(frames_of(path)) == 5


def test_pictures_have_the_colours_of_ffmpeg(ffmpeg, pyav):
    path = ffmpeg("-c:v", "libx264", "-crf", "1", "-pix_fmt", "yuv444p", "x.mp4")
    frames = frames_of(path)
    assert level_of(frames, path) < 1
    assert cv2.mean(frames[0].image)[:3] != pytest.approx([0, 0, 0])


@pytest.mark.parametrize("seconds", [0.01, 1000.0])
def test_a_stream_without_a_key_frame_is_called_that(ffmpeg, pyav, monkeypatch, seconds):
    options = ("-c:v", "libx264", "-g", "1000", "-sc_threshold", "0", "-bf", "0")
    content = ffmpeg(*options, "x.ts").read_bytes()
    rest = content[len(content) // 2 // 188 * 188 :]
    over = threading.Event()

    def serve():
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            for _ in range(3):
                peer.sendall(rest)
            if seconds < 1:
                peer.sendall(content)
            while not over.wait(0.05):
                peer.sendall(rest)

    # Each look at the clock of the opening finds it so many seconds later.
    clock = itertools.count(step=seconds)
    later = types.SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr(_shown_pictures, "time", later)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        patient = SourceOptions(patience=120)
        try:
            if seconds < 1:
                with open_source(address, patient) as source:
                    assert source.read().index == 0
                return
            with pytest.raises(MediaError, match="no key frame arrived within 120") as caught:
                open_source(address, patient)
            assert "patience=240" in caught.value.hint
        finally:
            over.set()


@pytest.mark.parametrize("catches_up", [True, False])
def test_a_stream_that_is_behind_goes_on_at_its_newest_key_frame(
    ffmpeg, pyav, monkeypatch, caplog, catches_up
):
    """The clock of the reader stands for a machine that decodes too slowly."""
    options = ("-c:v", "libx264", "-g", "10", "-bf", "0", "-sc_threshold", "0")
    picture = "testsrc2=size=160x120:rate=25:duration=8"
    content = ffmpeg(*options, "x.ts", picture=picture).read_bytes()
    over = threading.Event()

    def serve():
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            peer.sendall(content)
            over.wait(LIMIT)

    clock = types.SimpleNamespace(now=0.0)
    for module in (_live_timing, _shown_pictures):
        monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(_shown_pictures, "_BACKLOG", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        reading = SourceOptions(patience=LIMIT, catches_up=catches_up)
        with open_source(address, reading) as source:
            frames = []
            for _ in range(READS):
                clock.now += 0.5  # for pictures of 40 ms
                frames.append(source.read())
        over.set()
    ages = [clock.now - 0.5 * (READS - 1 - n) - frame.taken for n, frame in enumerate(frames)]
    assert [frame.time for frame in frames] == pytest.approx([frame.taken for frame in frames])
    jumps = [n for n, frame in enumerate(frames) if frame.gap == "seek"]
    if not catches_up:
        assert jumps == []
        assert ages == pytest.approx([0.46 * n for n in range(READS)], abs=0.01)
        assert caplog.text == ""
        return
    (jump,) = jumps
    assert ages[:jump] == pytest.approx([0.46 * n for n in range(jump)], abs=0.01)
    assert ages[jump - 1] > 2
    # Up to the key frame, every tenth picture, before what is not late.
    assert ages[jump] < 0.2 + 10 / 25 + 0.5
    left_out = frames[jump].index - frames[jump - 1].index - 1
    assert left_out > 40
    assert f"skipped {left_out} pictures to catch up" in caplog.text
    indices = [frame.index for frame in frames]
    assert np.diff(indices).tolist() == [1] * (jump - 1) + [left_out + 1] + [1] * (READS - 1 - jump)


@pytest.mark.parametrize(
    "options",
    [
        ["-c:v", "mjpeg"],
        ["-g", "1"],
        ["-vf", "tinterlace=interleave_top", "-flags", "+ilme+ildct", "-g", "1"],
    ],
)
def test_decoded_pictures_do_not_wait_for_the_garbage_collector(ffmpeg, pyav, options):
    import av

    path = ffmpeg(*options, "video.mkv")
    gc.collect()
    gc.disable()
    try:
        with open_source(path) as source:
            frames = sum(1 for _ in source)
            left = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert frames > 10
    assert left < 5


def test_pictures_take_memory_of_earlier_ones(ffmpeg, pyav):
    size = ("-vf", "scale=1280:720", "-c:v", "mpeg4")
    addresses, others, last = set(), [], []
    with open_source(ffmpeg(*size, "large.mp4")) as source:
        for frame in source:
            last = [*last[-1:], frame]
            addresses.add(frame.image.ctypes.data)
            others.append(np.empty_like(frame.image))  # takes the memory of any freed picture
    assert len(others) == 25
    assert len(addresses) <= 4


def avif(images, *, tiled=False):
    """AVIF by OpenCV; tiled, it lists its item as a grid of others."""
    film = cv2.Animation()
    film.frames, film.durations = images, [100] * len(images)
    good, content = cv2.imencodeanimation(".avif", film)
    assert good
    content = content.tobytes()
    return re.sub(rb"(infe\x02.{7})av01", rb"\1grid", content, flags=re.S) if tiled else content


needs_avif = pytest.mark.skipif(
    not (hasattr(cv2, "imencodeanimation") and cv2.haveImageWriter("x.avif")),
    reason="this OpenCV writes no AVIF",
)


@needs_avif
def test_an_animated_avif_gives_all_its_frames(tmp_path, pyav, caplog):
    images = [np.full((64, 64, 3), 50 * n, np.uint8) for n in range(5)]
    (tmp_path / "x.avif").write_bytes(avif(images))
    frames = frames_of(tmp_path / "x.avif")
    assert [frame.image.mean() for frame in frames] == pytest.approx([0, 50, 100, 150, 200], abs=3)
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert caplog.text == ""


@needs_avif
def test_a_picture_in_tiles_is_not_taken_for_one_of_them(tmp_path, reader):
    content = avif([np.zeros((64, 64, 3), np.uint8)], tiled=True)
    (tmp_path / "x.heic").write_bytes(content)
    with pytest.raises(MediaError, match="picture in tiles") as caught:
        open_source(tmp_path / "x.heic")
    assert "heif-convert" in caught.value.hint


def test_encrypted_video_is_called_that(ffmpeg, reader):
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    scheme = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", key)
    path = ffmpeg("-c:v", "libx264", *scheme, "x.mp4")
    with pytest.raises(MediaError, match="encrypted video"):
        open_source(path)
    # By chance a decoder also accepts encrypted pictures, as it does those of the plain video.
    plain = ffmpeg("-c:v", "libx264", "plain.mp4").read_bytes()
    head, _, coded = path.read_bytes().partition(b"mdat")
    pictures = plain.partition(b"mdat")[2]
    size = int.from_bytes(head[-4:], "big") - 8
    path.write_bytes(head + b"mdat" + pictures[:size] + coded[size:])
    with pytest.raises(MediaError, match="encrypted video"):
        open_source(path)


def test_a_picture_on_a_web_server_is_read_whole_or_refused(tmp_path, pyav, served):
    image = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "x.png"), image)
    cv2.imwrite(str(tmp_path / "deep.png"), image.astype(np.uint16) * 16)
    cv2.imwritemulti(str(tmp_path / "pages.tif"), [image] * 3)
    cv2.imwrite(str(tmp_path / "x.webp"), image)
    (frame,) = frames_of(f"{served}/x.png")
    assert np.array_equal(frame.image, image)
    for name in ("deep.png", "pages.tif", "x.webp"):
        with pytest.raises(MediaError, match="only from a file; download it"):
            open_source(f"{served}/{name}")
