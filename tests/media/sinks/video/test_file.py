"""Tests the annotated video of a run that ends."""

from __future__ import annotations

import contextlib
import logging
import shutil
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("av")

import av

from edgekit.errors import OutputError
from edgekit.linking.published import LiveTube
from edgekit.media.sinks.video.file import VideoSink
from edgekit.media.sinks.video.live import LiveVideoSink
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame

INFO = RunInfo("clip.mp4", 320, 240, 25.0, 40, ("walk", "run"))
SUMMARY = RunSummary(40, 2, 1.25, {})
UNEVEN = [n / 25 for n in range(30)] + [1.2 + n / 5 for n in range(30)]
TIMES = {
    "one": ([0.0], 0.04),
    "25": ([n / 25 for n in range(55)], 2.2),
    "5": ([n / 5 for n in range(9)], 1.8),
    "120": ([n / 120 for n in range(240)], 2.0),
    "1000": ([n / 1000 for n in range(700)], 0.7),
    "ntsc": ([n * 1001 / 30_000 for n in range(60)], 2.002),
    "uneven": (UNEVEN, 7.2),
    "pauses": ([0, 0.04, 61.0, 61.04, 99.5, 99.54], 99.58),
    "late": ([5 + n / 25 for n in range(10)], 0.4),
}


def result_of(index=0, seconds=None, *, tubes=(), size=(240, 320), level=90, aspect=1.0):
    image = np.full((*size, 3), level, np.uint8)
    frame = Frame(index, index / 25 if seconds is None else seconds, image, "", aspect)
    return FrameResult(frame, Detections.empty(2), tubes)


def live(box=(40, 60, 120, 200)):
    return LiveTube(0, 0, 0.8, list(map(float, box)), 0, 0, 9)


def give(sink, results):
    for result in results:
        sink.frame(result)


def feed(sink, results, *, info=INFO, end=True):
    sink.start(info)
    give(sink, results)
    if end:
        sink.end(SUMMARY)
    sink.close()
    sink.close()


def noise(index):
    image = np.random.default_rng(index).integers(0, 255, (240, 320, 3), np.uint8)
    return FrameResult(Frame(index, index / 25, image), Detections.empty(2), [])


def frames_in(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        good, image = capture.read()
        if not good:
            return frames
        frames.append(image)


def looked_at(path):
    """Codec, times, duration and shape of a pixel, as FFmpeg sees them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [float(frame.time) for frame in container.decode(stream)]
        shape = stream.codec_context.sample_aspect_ratio or stream.sample_aspect_ratio
        stored = stream.sample_aspect_ratio
        return stream.codec_context.name, times, container.duration / 1e6, stored or shape


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".MP4"])
def test_the_video_has_every_frame_with_its_boxes(encoders, tmp_path, ending):
    path = tmp_path / f"out{ending}"
    feed(VideoSink(path), [result_of(n, tubes=[live()]) for n in range(12)])
    images = frames_in(path)
    assert [image.shape for image in images] == [(240, 320, 3)] * 12
    assert abs(images[-1][100, 40].astype(int) - 90).max() > 40
    assert abs(images[-1][100, 200].astype(int) - 90).max() < 12
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("kind", TIMES)
def test_frames_have_the_times_of_their_source(encoders, tmp_path, kind, ending):
    times, length = TIMES[kind]
    path = tmp_path / f"out{ending}"
    rate = 25.0 if kind in ("one", "uneven", "pauses", "late") else 1 / (times[1] - times[0])
    small = replace(INFO, width=64, height=48, fps=rate)
    results = [result_of(n, seconds, size=(48, 64)) for n, seconds in enumerate(times)]
    feed(VideoSink(path), results, info=small)
    _, found, duration, _ = looked_at(path)
    assert found == pytest.approx([time - times[0] for time in times], abs=0.0006)
    assert duration == pytest.approx(length, abs=0.0011)


@settings(max_examples=20, deadline=None)
@given(
    steps=st.lists(st.floats(0.002, 50), min_size=1, max_size=12),
    begin=st.floats(-5, 1e5),
    ending=st.sampled_from([".mp4", ".mkv"]),
)
def test_any_growing_times_are_kept(tmp_path_factory, steps, begin, ending):
    times = (begin + np.cumsum([0, *steps])).tolist()
    path = tmp_path_factory.mktemp("any") / f"out{ending}"
    small = replace(INFO, width=16, height=16)
    results = [result_of(n, seconds, size=(16, 16)) for n, seconds in enumerate(times)]
    feed(VideoSink(path), results, info=small)
    _, found, duration, _ = looked_at(path)
    assert found == pytest.approx([time - begin for time in times], abs=0.0006)
    assert times[-1] - begin < duration <= times[-1] - begin + 1.002


def test_a_clock_that_jumps_back_does_not_stop_the_video(encoders, tmp_path):
    path = tmp_path / "out.mp4"
    times = [8.0, 8.5, 0.0, 0.5, 0.5, 1.0]
    feed(VideoSink(path), [result_of(n, seconds) for n, seconds in enumerate(times)])
    assert looked_at(path)[1] == pytest.approx([0, 0.5, 0.54, 1.04, 1.08, 1.58], abs=0.001)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize(
    ("times", "fps"),
    [([0.0] * 5, 0.01), ([1e6 * n for n in range(5)], 25.0), ([3600.0 * n for n in range(5)], 1.0)],
    ids=["no times", "weeks", "hours"],
)
def test_frames_far_apart_do_not_stop_the_video(tmp_path, ending, times, fps):
    path = tmp_path / f"out{ending}"
    results = [result_of(n, seconds) for n, seconds in enumerate(times)]
    feed(VideoSink(path), results, info=replace(INFO, fps=fps))
    assert len(frames_in(path)) == len(times)


def test_times_that_are_no_numbers_do_not_stop_the_video(encoders, tmp_path):
    path = tmp_path / "out.mp4"
    times = [8.0, 8.5, float("nan"), 8.6, float("inf"), 8.7]
    feed(VideoSink(path), [result_of(n, seconds) for n, seconds in enumerate(times)])
    assert looked_at(path)[1] == pytest.approx([0, 0.5, 0.54, 0.6, 0.64, 0.7], abs=0.001)


def test_avi_has_one_rate_and_says_so(tmp_path, caplog):
    path = tmp_path / "out.avi"
    feed(VideoSink(path), [result_of(n, seconds) for n, seconds in enumerate(UNEVEN)])
    assert looked_at(path)[2] == pytest.approx(7.2, abs=0.2)
    assert "To keep them, name it" in caplog.text
    assert "out.mp4" in caplog.text
    assert len(frames_in(path)) == len(UNEVEN)


def test_avi_keeps_the_times_of_a_limited_rate_and_warns_of_nothing(tmp_path, caplog):
    path = tmp_path / "out.avi"
    feed(VideoSink(path), [result_of(5 * n, n / 5) for n in range(20)])
    assert looked_at(path)[1] == pytest.approx([n / 5 for n in range(20)], abs=0.001)
    assert caplog.text == ""


def test_avi_has_a_rate_if_its_last_time_is_no_number(tmp_path):
    for seconds in (float("inf"), float("nan")):
        path = tmp_path / "out.avi"
        feed(VideoSink(path), [result_of(n, n / 25) for n in range(4)] + [result_of(4, seconds)])
        assert len(frames_in(path)) == 5


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".mov"])
@pytest.mark.parametrize("aspect", [2.0, 0.5, 64 / 45, 12 / 11])
def test_pixels_keep_their_shape(encoders, tmp_path, ending, aspect):
    path = tmp_path / f"out{ending}"
    info = replace(INFO, sample_aspect=aspect)
    results = [result_of(index, aspect=aspect) for index in range(2)]
    feed(VideoSink(path), results, info=info)
    found = looked_at(path)[3]
    assert float(Fraction(found)) == pytest.approx(aspect, rel=0.005)


@pytest.mark.parametrize("kind", [VideoSink, LiveVideoSink])
def test_pixels_of_another_shape_are_fitted_into_the_video(tmp_path, kind):
    path = tmp_path / "out.mkv"
    wide = [result_of(n, level=250, aspect=2.0) for n in range(1, 3)]
    feed(kind(path), [result_of(level=250), *wide])
    square, *others = frames_in(path)
    assert square[5, 160].mean() > 200
    assert len(others) == 2
    for image in others:
        assert image[120, 5].mean() > 200
        assert image[40, 160].mean() < 50


@pytest.mark.parametrize("kind", [VideoSink, LiveVideoSink])
def test_a_video_has_the_pixels_of_its_first_frame(tmp_path, kind):
    path = tmp_path / "out.mkv"
    feed(kind(path), [result_of(aspect=2.0)])
    assert Fraction(looked_at(path)[3]) == 2


def test_avi_cannot_keep_the_shape_of_pixels_and_says_so(tmp_path, caplog):
    info = replace(INFO, sample_aspect=2.0)
    feed(VideoSink(tmp_path / "out.avi"), [result_of(aspect=2.0)], info=info)
    assert "not square" in caplog.text


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".avi"])
@pytest.mark.parametrize("size", [(121, 161), (3, 5), (4, 4), (48, 65)])
def test_an_odd_last_row_or_column_is_repeated(encoders, tmp_path, ending, size):
    path = tmp_path / f"out{ending}"
    height, width = size
    results = [result_of(n, size=size) for n in range(2)]
    for result in results:
        result.frame.image[height // 2 :] = 200
        result.frame.image[:, width // 2 :] = 30
    feed(VideoSink(path), results, info=replace(INFO, width=width, height=height))
    shown = frames_in(path)[0]
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    if min(size) > 20:
        assert shown[:height, :width][5, 5].mean() == pytest.approx(90, abs=8)
        assert shown[-1, 5].mean() == pytest.approx(200, abs=8)
        assert shown[5, -1].mean() == pytest.approx(30, abs=8)


def test_frames_of_another_size_are_fitted_into_the_video(encoders, tmp_path):
    path = tmp_path / "out.mp4"
    feed(VideoSink(path), [result_of(0), result_of(1, size=(64, 160), level=200)])
    first, second = frames_in(path)
    assert first.shape == second.shape == (240, 320, 3)
    assert second[120, 160].mean() > 180
    assert second[10, 160].mean() < 20


def test_the_first_frame_decides_the_size_whatever_the_source_declared(encoders, tmp_path):
    path = tmp_path / "out.mp4"
    feed(VideoSink(path), [result_of(0, size=(64, 160))])
    assert frames_in(path)[0].shape == (64, 160, 3)


def test_a_finished_mp4_can_be_played_before_it_is_whole(encoders, tmp_path):
    path = tmp_path / "out.mp4"
    feed(VideoSink(path), [noise(n) for n in range(60)])
    content = path.read_bytes()
    assert 0 < content.find(b"moov") < content.find(b"mdat")
    (tmp_path / "part.mp4").write_bytes(content[: len(content) * 2 // 3])
    assert 20 < len(frames_in(tmp_path / "part.mp4")) < 60


def test_with_pyav_the_codec_is_one_that_browsers_play(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="edgekit")
    for name, codec in (("a.mp4", "h264"), ("a.mov", "h264"), ("a.mkv", "h264"), ("a.webm", "vp9")):
        feed(VideoSink(tmp_path / name), [result_of()])
        assert looked_at(tmp_path / name)[0].removeprefix("lib").startswith(codec)
    assert [record.levelname for record in caplog.records] == ["INFO"] * 4
    assert "a.mp4 is written as H.264." in caplog.text
    assert "a.webm is written as VP9." in caplog.text


def test_without_pyav_it_is_said_what_is_written_and_how_to_have_the_other(
    without_av, tmp_path, caplog
):
    feed(VideoSink(tmp_path / "out.mp4"), [result_of()])
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "MPEG-4 Part 2, which browsers do not play" in record.message
    assert "[video]" in record.message
    caplog.clear()
    feed(VideoSink(tmp_path / "out.mp4", quiet=True), [result_of()])
    feed(VideoSink(tmp_path / "out.avi"), [result_of()])
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("width", "name", "limit"), [(16_500, "out.mp4", "16384"), (66_000, "out.webm", "65534")]
)
def test_frames_that_are_too_large_are_refused_before_the_work(tmp_path, width, name, limit):
    sink = VideoSink(tmp_path / name)
    with pytest.raises(OutputError, match=rf"{width}x64 pixels.*{limit}") as caught:
        sink.start(replace(INFO, width=width, height=64))
    sink.close()
    assert "out.avi" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_without_pyav_wide_frames_are_refused_with_both_ways_out(without_av, tmp_path):
    sink = VideoSink(tmp_path / "out.mp4")
    with pytest.raises(OutputError, match=r"2 to 8190 pixels") as caught:
        sink.start(replace(INFO, width=10_000, height=64))
    sink.close()
    assert "[video]" in caught.value.message
    assert "out.avi" in caught.value.hint


def test_wide_frames_are_written_where_the_message_said(tmp_path):
    feed(VideoSink(tmp_path / "out.avi"), [result_of(size=(64, 16_500))])
    assert frames_in(tmp_path / "out.avi")[0].shape == (64, 16_500, 3)


@pytest.mark.parametrize("name", ["out.nonsense", "out", ".mp4"])
def test_a_name_that_is_no_videos_is_refused_at_once(tmp_path, name):
    with pytest.raises(OutputError, match=r"\.mp4") as caught:
        VideoSink(tmp_path / name)
    assert caught.value.hint.endswith(".mp4")


def test_a_video_that_is_not_ended_leaves_nothing_and_keeps_the_old(encoders, tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("old")
    feed(VideoSink(path), [result_of(n) for n in range(3)], end=False)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1)])
def test_pictures_of_one_pixel_are_no_video(encoders, tmp_path, size):
    sink = VideoSink(tmp_path / "out.mp4")
    with pytest.raises(OutputError, match=f"{size[1]}x{size[0]} pixels") as caught:
        feed(sink, [result_of(0, size=size)])
    sink.close()
    assert "2 pixels" in caught.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi"])
def test_a_run_without_frames_leaves_no_video(encoders, tmp_path, ending):
    feed(VideoSink(tmp_path / f"out{ending}"), [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi"])
def test_a_video_on_a_full_disk_fails_and_leaves_nothing(encoders, small_disk, ending):
    sink = VideoSink(small_disk / f"out{ending}")
    sink.start(INFO)
    with pytest.raises(OutputError, match=rf"Cannot write .*out\{ending}: No space left"):
        give(sink, map(noise, range(200)))
    sink.close()
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_is_full_at_the_end_fails_too(small_disk):
    sink = VideoSink(small_disk / "out.mp4")
    sink.start(INFO)
    give(sink, map(noise, range(2)))
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with contextlib.closing(sink), pytest.raises(OutputError, match="No space left"):
        sink.end(SUMMARY)
    sink.close()
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_pictures_are_no_worse_than_those_of_mpeg4_at_about_its_size(tmp_path):
    from edgekit.synthetic import render_clip

    images = list(render_clip(3, frames=60))
    old = cv2.VideoWriter(
        str(tmp_path / "old.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, images[0].shape[1::-1]
    )
    for image in images:
        old.write(image)
    old.release()
    results = [
        FrameResult(Frame(n, n / 25, image), Detections.empty(2), [])
        for n, image in enumerate(images)
    ]
    feed(VideoSink(tmp_path / "new.mp4"), results)
    quality = {
        name: np.mean(
            [cv2.PSNR(a, b) for a, b in zip(images, frames_in(tmp_path / name), strict=True)]
        )
        for name in ("old.mp4", "new.mp4")
    }
    assert quality["new.mp4"] >= quality["old.mp4"]
    assert (tmp_path / "new.mp4").stat().st_size < 1.3 * (tmp_path / "old.mp4").stat().st_size
