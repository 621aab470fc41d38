from __future__ import annotations

import os
import threading
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import MediaError, UsageError
from edgekit.media import open_source
from edgekit.media.choices import RAW_FORMATS
from edgekit.media.sources._raw_pixels import frame_bytes, to_bgr
from edgekit.media.sources.raw import RawSource
from edgekit.media.sources.source import SourceOptions

SMALL = SourceOptions(raw_size=(6, 4), raw_fps=10)


def piped(data, options=SMALL):
    """A source over a pipe into which a thread writes."""
    reading, writing = os.pipe()

    def write():
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)

    threading.Thread(target=write, daemon=True).start()
    return RawSource(reading, options)


def frames_of(data, options=SMALL):
    with piped(data, options) as source:
        return list(source)


def ramp(count, size=72):
    return np.arange(count * size, dtype=np.uint32).astype(np.uint8)


def test_raw_frames_come_whole_and_in_order():
    data = ramp(5)
    with piped(data.tobytes()) as source:
        assert (source.width, source.height, source.fps) == (6, 4, 10)
        assert (source.live, source.frames) == (False, None)
        frames = list(source)
        assert source.position == 5
    assert [(frame.index, frame.time) for frame in frames] == [(n, n / 10) for n in range(5)]
    assert (np.stack([frame.image for frame in frames]) == data.reshape(5, 4, 6, 3)).all()
    assert all(frame.image.flags.writeable for frame in frames)


def test_a_short_last_frame_is_named_and_dropped(caplog):
    assert len(frames_of(ramp(3).tobytes()[:-1])) == 2
    assert "71 of its 72 bytes" in caplog.text


def test_a_whole_pipe_warns_of_nothing(caplog):
    assert len(frames_of(ramp(3).tobytes())) == 3
    assert caplog.text == ""


@pytest.mark.parametrize("layout", RAW_FORMATS)
@pytest.mark.parametrize(("width", "height"), [(8, 6), (7, 5), (1, 1), (1, 6), (8, 1)])
def test_every_layout_keeps_a_plain_colour(layout, width, height):
    blue, green, red = 200, 60, 90
    colour = np.array([[[blue, green, red]]], np.uint8)
    light, one, other = cv2.cvtColor(np.tile(colour, (2, 2, 1)), cv2.COLOR_BGR2YUV_I420).ravel()[
        [0, 4, 5]
    ]
    half = (width + 1) // 2 * ((height + 1) // 2)
    raw = {
        "bgr24": [blue, green, red] * (width * height),
        "rgb24": [red, green, blue] * (width * height),
        "gray8": [light] * (width * height),
        "nv12": [light] * (width * height) + [one, other] * half,
        "yuv420p": [light] * (width * height) + [one] * half + [other] * half,
    }[layout]
    assert len(raw) == frame_bytes(layout, width, height)
    picture = to_bgr(np.array(raw, np.uint8), layout, width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    expected = [light] * 3 if layout == "gray8" else [blue, green, red]
    assert np.abs(picture.astype(int) - expected).max() <= 3


@given(st.sampled_from(RAW_FORMATS), st.integers(1, 17), st.integers(1, 17), st.integers(0, 255))
def test_every_size_has_its_length(layout, width, height, level):
    raw = np.full(frame_bytes(layout, width, height), level, np.uint8)
    assert to_bgr(raw, layout, width, height, full=True).shape == (height, width, 3)


def test_yuv_of_the_full_range_is_no_paler():
    raw = np.full(frame_bytes("yuv420p", 4, 4), 128, np.uint8)
    raw[:16] = 255
    assert to_bgr(raw, "yuv420p", 4, 4, full=True).min() >= 253
    raw[:16] = 235
    assert to_bgr(raw, "yuv420p", 4, 4).min() >= 253
    assert to_bgr(raw, "yuv420p", 4, 4, full=True).max() < 240


def y4m(*levels, words="W6 H4 F30000:1001 Ip C420jpeg"):
    body = b"".join(
        b"FRAME\n" + np.array([level] * 24 + [128] * 12, np.uint8).tobytes() for level in levels
    )
    return f"YUV4MPEG2 {words}\n".encode() + body


def test_y4m_says_its_own_size_and_rate():
    with piped(y4m(16, 126, 235), SourceOptions()) as source:
        assert (source.width, source.height) == (6, 4)
        assert source.fps == pytest.approx(29.97, abs=0.01)
        levels = [frame.image.mean() for frame in source]
    assert levels == pytest.approx([0, 128, 255], abs=2)


@pytest.mark.parametrize(("word", "aspect"), [("A16:11", 16 / 11), ("A0:0", 1), ("A1:900", 1)])
def test_y4m_says_how_wide_its_pixels_are(word, aspect):
    with piped(y4m(16, words=f"W6 H4 Ip {word}"), SourceOptions()) as source:
        assert source.sample_aspect == next(iter(source)).sample_aspect == pytest.approx(aspect)


def test_y4m_by_the_real_ffmpeg(make_video):
    av = pytest.importorskip("av")
    reading, writing = os.pipe()
    path = make_video(frames=10)

    def convert():
        with (
            av.open(str(path)) as source,
            os.fdopen(writing, "wb") as pipe,
            av.open(pipe, "w", format="yuv4mpegpipe") as sink,
        ):
            stream = sink.add_stream("wrapped_avframe", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for frame in source.decode(video=0):
                sink.mux(stream.encode(frame))
            sink.mux(stream.encode())

    threading.Thread(target=convert, daemon=True).start()
    with RawSource(reading) as source:
        assert (source.width, source.height, source.fps) == (64, 48, 25)
        images = [frame.image for frame in source]
    from edgekit.media.sources.opencv.file import FileSource

    with FileSource(path) as source:
        expected = [frame.image for frame in source]
    assert np.abs(np.stack(images).astype(int) - np.stack(expected)).mean() < 2


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        (b"", SMALL, MediaError, "before the first whole frame"),
        (b"", SourceOptions(), MediaError, "before the first whole frame"),
        (bytes(71), SMALL, MediaError, "before the first whole frame"),
        (bytes(72), SourceOptions(), UsageError, "--raw-size"),
        (bytes(72), SourceOptions(raw_size=(99999, 99999)), MediaError, "99999x99999"),
        (y4m(1), SourceOptions(raw_size=(4, 6)), UsageError, "a y4m stream contains its size"),
        (y4m(1, words="W6"), SourceOptions(), MediaError, "'W6' was found"),
        (y4m(1, words="W6 H4 C444"), SourceOptions(), MediaError, "C444"),
        (y4m(1, words="W6 H4 C420p10"), SourceOptions(), MediaError, "C420p10"),
        (y4m(1, words="W6 H4 It"), SourceOptions(), MediaError, "interlaced"),
        (y4m(1, words="W-6 H4"), SourceOptions(), MediaError, "W-6"),
        (y4m(1, words="W0 H4"), SourceOptions(), MediaError, "W0"),
        (y4m(1, words="W99999 H99999"), SourceOptions(), MediaError, "99999x99999"),
        (b"YUV4MPEG2 " + b"x" * 5000, SourceOptions(), MediaError, "were expected"),
        (b"YUV4MPEG2 W6 H4\nFRUME\n" + bytes(36), SourceOptions(), MediaError, "FRUME"),
    ],
)
def test_what_is_no_frames_says_what_is(data, options, error, words):
    with pytest.raises(error) as caught:
        piped(data, options)
    assert words in str(caught.value)
    assert caught.value.hint


def test_what_the_system_cannot_read_is_an_error_of_the_source(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(MediaError, match="cannot be read: Is a directory"):
        RawSource(descriptor, SMALL)
    os.close(descriptor)


def test_y4m_that_is_damaged_midway_says_where():
    with piped(y4m(16, 235) + b"FRAMX\n" + bytes(36), SourceOptions()) as source:
        assert source.read().index == 0
        assert source.read().index == 1
        with pytest.raises(MediaError, match="after 2 frames"):
            source.read()


def test_closing_wakes_a_reader_that_waits():
    reading, writing = os.pipe()
    os.write(writing, bytes(72 + 30))
    source = RawSource(reading, SMALL)
    source.read()
    read = []
    thread = threading.Thread(target=lambda: read.append(source.read()))
    thread.start()
    source.close()
    thread.join(60)
    assert read == [None]
    assert source.read() is None
    os.close(writing)
    os.close(reading)


def test_a_terminal_and_a_closed_input_are_no_pipes(monkeypatch):
    leader, follower = os.openpty()
    with os.fdopen(follower) as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        with pytest.raises(UsageError, match="is a terminal"):
            open_source("-")
    os.close(leader)
    for closed in (terminal, None):
        monkeypatch.setattr("sys.stdin", closed)
        with pytest.raises(MediaError, match="is closed"):
            open_source("-")


def test_frames_of_8k_take_the_memory_of_two():
    width, height = 7680, 4320
    reading, writing = os.pipe()

    def write():
        frame = bytes(width * height)
        with os.fdopen(writing, "wb") as pipe:
            for _ in range(4):
                pipe.write(frame)

    threading.Thread(target=write, daemon=True).start()
    options = SourceOptions(raw_size=(width, height), raw_format="gray8")
    tracemalloc.start()
    with RawSource(reading, options) as source:
        count = 0
        while (frame := source.read()) is not None:
            assert frame.image.shape == (height, width, 3)
            count += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4
    assert peak < 3 * width * height * 3
