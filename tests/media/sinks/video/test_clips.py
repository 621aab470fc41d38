"""Tests the short videos of tubes."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("av")

import av

from edgekit.errors import OutputError
from edgekit.files.writing import TEMPORARY
from edgekit.linking.published import LiveTube
from edgekit.media.sinks.video import _clip, _clip_folder, _earlier_frames, clips
from edgekit.media.sinks.video.clips import ClipsSink
from edgekit.pipeline.bundle_change import BundleChange
from edgekit.pipeline.results import FrameResult, RunInfo, RunSummary, SourceHealth
from edgekit.runtime.types import Detections, Frame, Tube

FPS = 10.0
INFO = RunInfo("camera 0", 64, 48, FPS, None, ("run", "jump"))
SUMMARY = RunSummary(1, 0, 1.0, {})


def result_of(index, ids=(), seconds=None):
    """A frame whose brightness is its number."""
    image = np.full((48, 64, 3), index, np.uint8)
    tubes = [LiveTube(id, 1, 0.8, (5, 5, 20, 40), 0, 0, 5) for id in ids]
    frame = Frame(index, index / FPS if seconds is None else seconds, image)
    return FrameResult(frame, Detections.empty(2), tubes)


def give(sink, indices):
    for index in indices:
        sink.frame(result_of(index, [0]))


def tube_of(id, start, end):
    count = end - start + 1
    boxes = np.tile([5.0, 5, 20, 40], (count, 1))
    return Tube(id, 1, 0.8, start, end, boxes, np.ones(count), np.ones(count, bool))


def give_one(sink, id, first):
    """Gives five frames with a tube and its end, and five frames without."""
    for index in range(first, first + 10):
        sink.frame(result_of(index, [id] if index < first + 5 else []))
        if index == first + 4:
            sink.tube(tube_of(id, first, index))


def play(sink, frames, lives):
    """Plays frames; ``lives`` has the first and last frame in which each tube is shown."""
    sink.start(INFO)
    for index in range(frames):
        sink.frame(result_of(index, [i for i, (a, b) in enumerate(lives) if a <= index <= b]))
        for id, (first, last) in enumerate(lives):
            if index == last:
                sink.tube(tube_of(id, first, last))


def shown(path):
    """Numbers of the frames in a video: the brightness of a corner without boxes."""
    capture, found = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        found.append(int(np.median(read[1][-4:, -4:])))
    capture.release()
    return found


def test_a_clip_shows_what_was_before_and_after(tmp_path):
    sink = ClipsSink(tmp_path / "new", before=1.0, after=0.5)
    play(sink, 100, [(40, 59)])
    sink.end(SUMMARY)
    sink.close()
    about, video = sorted((tmp_path / "new").iterdir())
    assert (about.suffix, video.suffix) == (".json", ".mp4")
    found = shown(video)
    assert len(found) == 10 + 20 + 5
    np.testing.assert_allclose(found, range(30, 65), atol=5)  # the codec shifts dark tones
    said = json.loads(about.read_bytes())
    assert (said["first"], said["last"], said["cut"]) == (30, 64, False)
    assert (said["class"], said["video"], said["source"]) == ("jump", video.name, "camera 0")
    assert (said["tube"]["start"], said["tube"]["end"]) == (40, 59)


def test_a_clip_has_the_times_of_a_source_whose_rate_changes(tmp_path, encoders, caplog):
    # Ten a second, then, from the frame in which the tube has its last box, two a second.
    times = [n / 10 for n in range(40)] + [4 + n / 2 for n in range(20)]
    sink = ClipsSink(tmp_path, before=0.5, after=2)
    sink.start(INFO)
    for index, seconds in enumerate(times):
        sink.frame(result_of(index, [0] if 20 <= index <= 45 else [], seconds))
        if index == 45:
            sink.tube(tube_of(0, 20, 40))
    sink.end(SUMMARY)
    sink.close()
    (about,) = tmp_path.glob("*.json")
    said = json.loads(about.read_bytes())
    assert (said["first"], said["last"]) == (15, 45)
    with av.open(str(tmp_path / said["video"])) as container:
        found = [float(frame.time) for frame in container.decode(video=0)]
    assert found == pytest.approx([time - times[15] for time in times[15:46]], abs=0.001)
    assert caplog.text.count("browsers do not play") == (encoders == "cv2")


@pytest.mark.parametrize("width", [64, 96])
def test_a_clip_has_the_pixels_of_a_source_that_came_back_with_others(tmp_path, width):
    sink = ClipsSink(tmp_path, before=0, after=0)
    sink.start(INFO)
    give_one(sink, 0, 0)
    for index in range(20, 30):
        image = np.zeros((48, width, 3), np.uint8)
        frame = Frame(index, index / FPS, image, "", 0.5)
        shown = result_of(index, [1] if index < 25 else []).tubes
        sink.frame(FrameResult(frame, Detections.empty(2), shown))
        if index == 24:
            sink.tube(tube_of(1, 20, 24))
    sink.end(SUMMARY)
    sink.close()
    found = []
    for path in sorted(tmp_path.glob("*.mp4")):
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            found.append((video.width, video.height, float(video.sample_aspect_ratio or 1)))
    assert found == [(64, 48, 1.0), (width, 48, 0.5)]


@pytest.mark.parametrize("restart", [0.0, float("nan")])
def test_clips_end_though_the_times_of_the_source_begin_again(tmp_path, restart):
    sink = ClipsSink(tmp_path, before=0.45, after=0.45)
    sink.start(INFO)
    times = [3600 + n / FPS for n in range(20)] + [restart + n / FPS for n in range(80)]
    for index, seconds in enumerate(times):
        ids = [0] if 10 <= index < 18 else [1] if 60 <= index < 70 else []
        sink.frame(result_of(index, ids, seconds))
        if index in (17, 69):
            sink.tube(tube_of(ids[0], index - 7, index))
    sink.end(SUMMARY)
    sink.close()
    said = [json.loads(about.read_bytes()) for about in sorted(tmp_path.glob("*.json"))]
    assert [(one["first"], one["last"]) for one in said] == [(6, 21), (56, 73)]


@pytest.mark.parametrize("before", [0.0, 0.5])
def test_the_codec_is_said_once_if_the_size_is_unknown_at_the_start(
    tmp_path, encoders, caplog, before
):
    sink = ClipsSink(tmp_path, before=before, after=0)
    sink.start(replace(INFO, width=0, height=0))
    for id, first in enumerate((10, 20, 30)):
        give_one(sink, id, first)
    assert sink.codec == {"av": "H.264", "cv2": "MPEG-4 Part 2"}[encoders]
    sink.end(SUMMARY)
    sink.close()
    assert len(list(tmp_path.glob("*.mp4"))) == 3
    assert caplog.text.count("browsers do not play") == (encoders == "cv2")


def test_each_tube_has_a_clip_and_the_end_of_the_run_completes_them(tmp_path):
    sink = ClipsSink(tmp_path, before=0, after=5)
    play(sink, 30, [(0, 10), (5, 29), (8, 20)])
    assert not list(tmp_path.glob("*.json"))
    sink.end(SUMMARY)
    sink.close()
    lengths = sorted(len(shown(path)) for path in tmp_path.glob("*.mp4"))
    assert lengths == [22, 25, 30]
    assert len(list(tmp_path.iterdir())) == 6


def test_each_clip_has_the_class_of_the_bundle_that_found_its_tube(tmp_path):
    sink = ClipsSink(tmp_path)
    sink.start(INFO)
    give(sink, range(10))
    sink.bundle(BundleChange("bad", "", 10, INFO.classes, "It is broken."))
    sink.tube(tube_of(0, 0, 9))
    sink.bundle(BundleChange("two", "22", 10, ("sit",)))
    for index in range(10, 40):  # in the first clip too, which shows what comes after its tube
        result = result_of(index, [1])
        sink.frame(replace(result, tubes=[result.tubes[0]._replace(label=0)]))
    sink.tube(replace(tube_of(1, 10, 39), label=0))
    sink.end(SUMMARY)
    sink.close()
    about = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    found = {one["tube"]["id"]: (one["class"], one["first"], one["last"]) for one in about}
    assert found == {0: ("jump", 0, 29), 1: ("sit", 0, 39)}
    # In the second clip, boxes of the earlier bundle would get names of the later one's classes.
    for id, drawn in ((0, [True] * 10), (1, [False] * 10)):
        (path,) = tmp_path.glob(f"*-{id}.mp4")
        with av.open(str(path)) as video:
            pictures = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
        assert [bool(np.ptp(one[:, :24].astype(int)) > 40) for one in pictures[:10]] == drawn


def test_a_run_that_fails_leaves_no_half_clip(tmp_path):
    sink = ClipsSink(tmp_path)
    play(sink, 20, [(5, 19)])
    sink.close()
    assert not list(tmp_path.iterdir())


def test_a_clock_that_jumps_back_costs_no_clip(tmp_path, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return cls(2026, 1, 1, 12, tzinfo=zone)

    monkeypatch.setattr(_clip, "datetime", Clock)
    for _ in range(3):
        sink = ClipsSink(tmp_path, before=0, after=0)
        play(sink, 20, [(5, 15)])
        sink.end(SUMMARY)
        sink.close()
    names = {"20260101T120000-0", "20260101T120000-0-2", "20260101T120000-0-3"}
    assert {path.stem for path in tmp_path.glob("*.mp4")} == names
    assert {path.stem for path in tmp_path.glob("*.json")} == names


def test_a_clip_is_complete_in_time_if_its_source_is_lost(tmp_path, monkeypatch):
    now, health = [50.0], [SourceHealth()]
    monkeypatch.setattr(clips, "time", SimpleNamespace(monotonic=lambda: now[0]))
    sink = ClipsSink(tmp_path, before=0, after=2.0)
    sink.start(replace(INFO, health=lambda: health[0]))
    give(sink, range(10))
    sink.tube(tube_of(0, 0, 9))

    def complete(seconds):
        now[0] = 50.0 + seconds
        sink.idle()
        return bool([*tmp_path.glob("*.json")])

    assert not complete(100.0)  # frames are late, or left out on purpose
    health[0] = SourceHealth(connected=False)
    assert not complete(1.9)
    assert complete(2.1)
    (video,) = tmp_path.glob("*.mp4")
    assert len(shown(video)) == 10
    sink.end(SUMMARY)
    sink.close()
    assert len([*tmp_path.iterdir()]) == 2


@pytest.mark.parametrize(("hole", "frames"), [(0.1, 21), (0.9, 13), (60.0, 10), (3600.0, 10)])
def test_a_clip_ends_before_a_hole_in_the_recording(tmp_path, hole, frames):
    sink = ClipsSink(tmp_path, before=0, after=1.1)
    sink.start(INFO)
    give(sink, range(10))
    sink.frame(result_of(10, seconds=0.9 + hole))
    sink.tube(tube_of(0, 0, 9))
    for index in range(11, 40):
        sink.frame(result_of(index, seconds=0.9 + hole + (index - 10) / FPS))
    sink.end(SUMMARY)
    (video,) = tmp_path.glob("*.mp4")
    assert shown(video) == pytest.approx(range(frames), abs=2)
    (about,) = tmp_path.glob("*.json")
    described = json.loads(about.read_bytes())
    assert (described["last"], described["cut"]) == (frames - 1, False)


def test_a_tube_that_does_not_end_has_a_clip_of_bounded_length(tmp_path, monkeypatch):
    monkeypatch.setattr(_clip, "_LONGEST", 1.0)
    sink = ClipsSink(tmp_path, before=0)
    play(sink, 60, [(5, 59)])
    sink.end(SUMMARY)
    (video,) = tmp_path.glob("*.mp4")
    assert len(shown(video)) == 11
    (about,) = tmp_path.glob("*.json")
    assert json.loads(about.read_bytes())["cut"]


def test_of_many_tubes_at_once_some_have_a_clip_and_the_rest_are_counted(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(clips, "_MOST", 2)
    sink = ClipsSink(tmp_path, before=0.5, after=0)
    play(sink, 40, [(5, 15)] * 5 + [(30, 35)])
    sink.end(SUMMARY)
    assert len(list(tmp_path.glob("*.mp4"))) == 3
    assert sink.dropped == 3
    assert caplog.text.count("More than 2 tubes were live at once") == 1


def test_tubes_whose_end_was_lost_leave_room_for_others(tmp_path, monkeypatch):
    """The queue of a slow disk drops calls; a tube that is gone must not keep its clip open."""
    monkeypatch.setattr(clips, "_MOST", 2)
    sink = ClipsSink(tmp_path, before=0, after=0)
    sink.start(INFO)
    for index in range(60):
        sink.frame(result_of(index, [index // 10] if index % 10 < 5 else []))
    sink.frame(result_of(60, [9]))
    sink.frame(result_of(61))
    sink.tube(tube_of(9, 60, 60))
    sink.end(SUMMARY)
    assert [path.stem.rpartition("-")[2] for path in tmp_path.glob("*.mp4")] == ["9"]
    assert sink.dropped == 6
    assert not sink._refused


def test_that_a_tube_got_no_clip_is_reported_until_the_next_clip_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "_MOST", 1)
    sink = ClipsSink(tmp_path, before=0, after=0)
    play(sink, 20, [(5, 19), (5, 19)])
    assert "only 1 got a clip" in sink.trouble
    sink.end(SUMMARY)
    assert sink.trouble is None
    assert sink.dropped == 1


def test_a_folder_that_was_removed_is_made_again(tmp_path):
    folder = tmp_path / "clips"
    sink = ClipsSink(folder, before=0, after=0)
    sink.start(INFO)
    folder.rmdir()
    give(sink, range(3))
    sink.tube(tube_of(0, 0, 2))
    sink.end(SUMMARY)
    sink.close()
    assert len(list(folder.glob("*.mp4"))) == 1


def test_what_a_killed_run_left_goes_at_the_start_and_old_clips_go_without_new_ones(
    tmp_path, monkeypatch
):
    left = tmp_path / f"{TEMPORARY}left.mp4"
    left.write_bytes(b"half a clip")
    sink = ClipsSink(tmp_path, most_seconds=3600)
    sink.start(INFO)
    assert not left.exists()
    names = ("20260101T000000-0.mp4", "20260101T000001-1.mp4")
    for name in names:
        (tmp_path / name).write_bytes(b"clip")
        os.utime(tmp_path / name, (0, 0))
    sink.frame(result_of(0, []))
    assert {path.name for path in tmp_path.iterdir()} == {*names}
    monkeypatch.setattr(_clip_folder, "_TIDY_SECONDS", 0.0)
    sink.frame(result_of(1, []))
    assert len(list(tmp_path.iterdir())) == 1  # the newest one stays
    sink.close()


def test_a_picture_that_is_too_large_for_jpeg_is_not_kept(tmp_path):
    sink = ClipsSink(tmp_path)
    sink.start(INFO)
    wide = Frame(0, 0.0, np.zeros((1, 65_600, 3), np.uint8))
    sink.frame(FrameResult(wide, Detections.empty(2), []))
    assert not sink._earlier._kept
    sink.close()


def test_what_waits_is_bounded_by_bytes_and_that_is_said(tmp_path, monkeypatch, caplog):
    sink = ClipsSink(tmp_path, before=3)
    play(sink, 50, [])
    assert len(sink._earlier._kept) in (30, 31)
    assert caplog.text == ""
    size = max(jpeg.nbytes for _, jpeg in sink._earlier._kept)
    monkeypatch.setattr(_earlier_frames, "_MOST_BYTES", 7 * size)
    sink = ClipsSink(tmp_path, before=3)
    play(sink, 50, [])
    assert 7 <= len(sink._earlier._kept) < 12
    assert sum(jpeg.nbytes for _, jpeg in sink._earlier._kept) <= 7 * size
    assert caplog.text.count("more than 0 MiB of memory") == 1


def test_thirty_seconds_before_are_thirty_at_any_rate(tmp_path):
    sink = ClipsSink(tmp_path, before=30, after=0)
    sink.start(INFO)
    for index in range(3100):
        sink.frame(result_of(index % 250, [0] if index > 3090 else [], index / 100))
    sink.tube(tube_of(0, 3091 % 250, 3099 % 250))
    sink.end(SUMMARY)
    sink.close()
    (path,) = tmp_path.glob("*.mp4")
    with av.open(str(path)) as video:
        times = [frame.time for frame in video.decode(video=0)]
    assert times[-1] - times[0] == pytest.approx(30.08, abs=0.02)


def test_on_a_full_disk_a_clip_is_given_up_and_the_next_is_tried(small_disk, monkeypatch):
    sink = ClipsSink(small_disk, before=0)
    (small_disk / "filler").write_bytes(bytes(250 << 10))
    sink.start(INFO)
    with pytest.raises(OutputError):
        give(sink, range(200))
    assert sink.reopen()
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    assert sink.dropped == 1
    give(sink, range(200, 240))  # it has been given up
    sink.close()


def test_a_clip_that_cannot_be_described_leaves_no_video(small_disk):
    sink = ClipsSink(small_disk, before=0)
    sink.start(INFO)
    give(sink, range(5))
    sink.tube(tube_of(0, 0, 4))
    used = os.statvfs(small_disk)
    limits = f"remount,size=256k,nr_inodes={used.f_files - used.f_ffree}"
    subprocess.run(["mount", "-o", limits, str(small_disk)], check=True)
    with pytest.raises(OutputError, match="No space left"):
        sink.end(SUMMARY)
    sink.close()
    assert list(small_disk.iterdir()) == []
    assert (sink.dropped, sink.stored) == (1, 0)


def test_a_place_that_is_no_folder_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        ClipsSink(tmp_path / "file" / "clips").start(INFO)


def test_a_folder_that_cannot_be_written_is_said_before_the_first_tube():
    with pytest.raises(OutputError, match="you have no permission to write it"):
        ClipsSink("/proc/self").start(INFO)
