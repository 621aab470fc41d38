from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
import tracemalloc

import cv2
import numpy as np
import pytest

from edgekit.errors import OutputError
from edgekit.media.sinks.queued import QueuedSink
from edgekit.media.sinks.video._matroska import MatroskaFile
from edgekit.media.sinks.video.codecs import H264, Track
from edgekit.media.sinks.video.live import LiveVideoSink
from edgekit.media.sources.opencv.file import FileSource
from edgekit.pipeline.results import FrameResult, Gap, RunInfo, RunSummary
from edgekit.runtime.types import Detections, Frame
from edgekit.system import backoff

INFO = RunInfo("camera 0", 320, 240, 25.0, None, ("walk",))
SUMMARY = RunSummary(1, 0, 1.0, {})


def result_of(index, seconds=None, *, size=(240, 320)):
    image = np.full((*size, 3), 40, np.uint8)
    image[:, : 10 * (index % 20) + 10] = 200
    frame = Frame(index, index / 25 if seconds is None else seconds, image)
    return FrameResult(frame, Detections.empty(1), [])


@pytest.fixture
def started(encoders):
    """Makes sinks that have begun; closes them at the end."""
    with contextlib.ExitStack() as stack:

        def make(path, **options):
            sink = LiveVideoSink(path, **options)
            stack.callback(sink.close)
            sink.start(INFO)
            return sink

        yield make


def noisy(index):
    result = result_of(index)
    result.frame.image[:] = np.random.default_rng(index).integers(0, 255, (240, 320, 3))
    return result


def give(sink, indices, make=result_of):
    for index in indices:
        sink.frame(make(index))


def played(path):
    """Time in seconds and width of the bright part of every frame."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found = []
    while True:
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        good, image = capture.read()
        if not good:
            return found
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        found.append((seconds, int((image[image.shape[0] // 2, :, 0] > 120).sum())))


def test_the_video_plays_while_it_grows(started, tmp_path):
    path = tmp_path / "out.mkv"
    sink = started(path)
    for index in range(100):
        sink.frame(result_of(index))
        if index >= 25:
            assert path.exists()
        if index % 20 == 19:
            assert len(played(path)) == max(index // 25 * 25, 0)
    sink.end(SUMMARY)
    sink.close()
    sink.close()
    found = played(path)
    assert [width for _, width in found] == pytest.approx(
        [10 * (index % 20) + 10 for index in range(100)], abs=2
    )
    assert [time for time, _ in found] == pytest.approx([n / 25 for n in range(100)], abs=0.002)
    assert [file.name for file in path.parent.iterdir()] == ["out.mkv"]


def test_frames_have_the_times_of_their_source(started, tmp_path):
    times = [0, 0.3, 0.7, 5.5, 5.6, 70.0, 70.25]
    sink = started(tmp_path / "out.mkv")
    for index, seconds in enumerate(times):
        sink.frame(result_of(index, seconds))
    sink.end(SUMMARY)
    assert [time for time, _ in played(tmp_path / "out.mkv")] == pytest.approx(times, abs=0.002)


def test_a_source_of_uneven_times_is_no_damaged_one(started, tmp_path, caplog):
    sink = started(tmp_path / "out.mkv")
    for index in range(80):
        sink.frame(result_of(index, 0.04 * index + 0.26 * (index // 7)))
    sink.end(SUMMARY)
    caplog.clear()
    with FileSource(tmp_path / "out.mkv") as source:
        assert len(list(source)) == 80
    assert caplog.text == ""


def test_a_clock_that_jumps_back_does_not_stop_the_video(started, tmp_path):
    sink = started(tmp_path / "out.mkv")
    for index, seconds in enumerate([8.0, 8.5, 0.0, 0.5, 0.5, 1.0]):
        sink.frame(result_of(index, seconds))
    sink.end(SUMMARY)
    expected = [0, 0.5, 0.54, 1.04, 1.08, 1.58]
    assert [time for time, _ in played(tmp_path / "out.mkv")] == pytest.approx(expected, abs=0.002)


def test_a_camera_that_goes_leaves_nothing_unwritten(started, tmp_path):
    sink = started(tmp_path / "out.mkv")
    give(sink, range(7))
    sink.gap(Gap(9, "dropped", 2))
    assert not (tmp_path / "out.mkv").exists()
    sink.gap(Gap(9, "reconnect", 2))
    assert len(played(tmp_path / "out.mkv")) == 7


def test_any_length_of_it_plays(started, tmp_path):
    sink = started(tmp_path / "out.mkv")
    give(sink, range(75))
    sink.end(SUMMARY)
    content = (tmp_path / "out.mkv").read_bytes()
    draw = np.random.default_rng(3)
    counts = []
    for length in [len(content), *sorted(draw.integers(600, len(content), 30), reverse=True)]:
        (tmp_path / "cut.mkv").write_bytes(content[:length])
        counts.append(len(played(tmp_path / "cut.mkv")))
    assert counts[0] == 75
    assert counts == sorted(counts, reverse=True)
    assert counts[len(counts) // 2] > 20


def test_frames_of_another_or_an_odd_size_are_fitted(started, tmp_path):
    sink = started(tmp_path / "out.mkv")
    for index, size in enumerate([(121, 163), (48, 64), (900, 20)]):
        sink.frame(result_of(index, size=size))
    sink.end(SUMMARY)
    assert len(played(tmp_path / "out.mkv")) == 3


def test_videos_of_earlier_runs_are_kept(started, tmp_path):
    for run in range(4):
        sink = started(tmp_path / "out.mkv", keep=2)
        give(sink, range(run + 1))
        sink.end(SUMMARY)
        sink.close()
    lengths = {file.name: len(played(file)) for file in tmp_path.iterdir()}
    assert lengths == {"out.mkv": 4, "out.1.mkv": 3, "out.2.mkv": 2}


@pytest.mark.parametrize("target", ["theirs", "empty", "nowhere", "video.mkv"])
@pytest.mark.parametrize("keep", [0, 2])
def test_a_link_at_the_path_is_replaced_and_its_target_stays(started, tmp_path, target, keep):
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "empty").touch()
    path = tmp_path / "video.mkv"
    path.symlink_to(target)
    sink = started(path, keep=keep)
    give(sink, range(30))
    sink.end(SUMMARY)
    assert not path.is_symlink()
    assert len(played(path)) == 30
    assert (tmp_path / "theirs").read_text() == "precious"
    assert (tmp_path / "empty").read_bytes() == b""
    assert not (tmp_path / "nowhere").exists()


def test_a_large_video_goes_on_in_a_new_file(started, tmp_path):
    sink = started(tmp_path / "out.mkv", rotate=2_000, keep=30, seconds=0.4)
    give(sink, range(100))
    sink.end(SUMMARY)
    found = [played(file) for file in tmp_path.iterdir()]
    assert len(found) > 2
    assert sum(map(len, found)) == 100
    assert all(frames[0][0] == 0 for frames in found)


def test_a_full_disk_costs_frames_and_not_the_video(started, small_disk):
    sink = started(small_disk / "out.mkv")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(150_000))
    index = failures = 0
    while failures < 3:
        result = noisy(index)
        index += 1
        try:
            sink.frame(result)
        except OutputError:
            failures += 1
    before = len(played(small_disk / "out.mkv"))
    assert before % 25 == 0
    filler.unlink()
    give(sink, range(index, index + 30))
    sink.end(SUMMARY)
    sink.close()
    assert len(played(small_disk / "out.mkv")) > before + 25
    assert not list(small_disk.glob("out.*.mkv"))


def test_a_video_that_is_removed_goes_on_in_a_new_file(started, tmp_path, caplog):
    path = tmp_path / "out.mkv"
    sink = started(path)
    give(sink, range(40))
    path.unlink()
    give(sink, range(40, 100))
    sink.end(SUMMARY)
    sink.close()
    assert len(played(path)) == 75  # all but the cluster that was removed
    assert f"{path} was removed" in caplog.text


def test_a_run_may_end_while_its_folder_is_gone(started, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    sink = started(folder / "out.mkv")
    give(sink, range(30))
    shutil.rmtree(folder)
    with pytest.raises(OutputError, match="no folder"):
        give(sink, range(30, 60))
    sink.end(RunSummary(30, 0, 1.0, {}))
    sink.close()
    assert not folder.exists()


def test_the_index_of_a_live_video_takes_little_memory():
    class Sizes:
        size = 0

        def add(self, piece):
            self.size += len(piece)

        def put(self, place, content):
            pass

    video = MatroskaFile(Sizes(), Track(H264, b"", (240, 320)))
    tracemalloc.start()
    for second in range(5000):
        video.add([1e3 * second], [b"x"], 1e3 * second + 1000)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken / 5000 < 40, "bytes for each second of video"


def test_a_video_that_is_renamed_stays_one_file(started, tmp_path):
    # Two runs of one name would otherwise rename each other's videos until the oldest are gone.
    sink = started(tmp_path / "out.mkv")
    give(sink, range(40))
    (tmp_path / "out.mkv").rename(tmp_path / "moved.mkv")
    give(sink, range(40, 100))
    sink.end(SUMMARY)
    sink.close()
    assert len(played(tmp_path / "moved.mkv")) == 100
    assert not (tmp_path / "out.mkv").exists()


def test_a_folder_that_is_not_there_is_said_at_the_start(started, tmp_path):
    with pytest.raises(OutputError, match="there is no folder"):
        started(tmp_path / "new" / "out.mkv")


def test_a_pipe_is_refused_at_the_start(started, tmp_path):
    os.mkfifo(tmp_path / "out.mkv")
    with pytest.raises(OutputError, match=r"does not replace .* a named pipe"):
        started(tmp_path / "out.mkv")


def test_a_name_that_cannot_be_played_half_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"Name it .*out\.mkv"):
        LiveVideoSink(tmp_path / "out.mp4")


@pytest.mark.parametrize("encoders", ["cv2"], indirect=True)
def test_no_room_for_temporary_files_is_said(started, small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    sink = started(tmp_path / "out.mkv")
    (small_disk / "filler").write_bytes(bytes(200_000))
    with pytest.raises(OutputError, match="TMPDIR"):
        give(sink, range(60), noisy)
    (small_disk / "filler").unlink()
    give(sink, range(60, 90))
    sink.end(SUMMARY)
    sink.close()
    assert len(played(tmp_path / "out.mkv")) >= 30
    assert list(small_disk.iterdir()) == []
    assert shutil.disk_usage(small_disk).used < 20_000


def test_a_full_disk_is_reported_until_something_is_written_again(small_disk, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.setattr(backoff, "_FIRST", 0.001)
    video = LiveVideoSink(small_disk / "v.mkv")
    sink = QueuedSink(video, "video", live=True)
    given, written = itertools.count(), [0]

    def errors_of(count, make):
        found = []
        for index in itertools.islice(given, count):
            sink.frame(make(index))
            while (health := sink.health()).written + health.lost + video.pending <= index:
                time.sleep(0.001)
            found.append(sink.health().error)
            written.append(sink.health().written)
        return found

    with contextlib.closing(sink):
        sink.start(INFO)
        assert set(errors_of(30, result_of)) == {None}
        errors = errors_of(100, noisy)  # a second of these is larger than the disk
        full = errors.index(next(filter(None, errors)))
        assert set(errors[full:]) == {errors[full]}
        assert "No space left" in errors[full]
        assert errors_of(80, result_of)[-1] is None
    health = sink.health()
    assert health.last_error == errors[full]
    assert 75 <= health.lost <= 130
    assert health.written + health.lost + video.pending == 210
    assert written == sorted(written), "frames that are lost were never counted as written"
