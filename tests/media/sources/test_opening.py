from __future__ import annotations

import contextlib
import os
import threading
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import MediaError
from edgekit.media import open_source
from edgekit.media.sources import open_sources, opening
from edgekit.media.sources.pictures.folder import FramesSource, natural_key
from tests.waiting import wait_until


@pytest.fixture(params=["pyav", "opencv"], autouse=True)
def reader(request, monkeypatch):
    """Both readers of files have to give the same."""
    if request.param == "pyav":
        pytest.importorskip("av")
    monkeypatch.setattr(opening, "_has_pyav", lambda: request.param == "pyav")
    return request.param


def frames_of(spec):
    with open_source(spec) as source:
        return list(source)


def test_a_video_gives_all_its_frames_in_order(make_video):
    path = make_video(frames=20)
    with open_source(path) as source:
        assert (source.width, source.height, source.fps, source.frames) == (64, 48, 25.0, 20)
        assert not source.live
        frames = list(source)
        assert source.position == 20
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(20) / 25)
    levels = [int(frame.image[30:, 30:].mean()) for frame in frames]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 50
    assert not any(frame.gap for frame in frames)


def test_several_are_opened_in_their_order(make_video):
    paths = [make_video(f"{frames}.mp4", frames=frames) for frames in (3, 9, 5)]
    opened = open_sources(paths)
    assert [len(list(source)) for source in opened] == [3, 9, 5]
    for source in opened:
        source.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_where_one_cannot_be_opened_the_others_are_closed(make_video, tmp_path):
    path = make_video(frames=3)
    with pytest.raises(MediaError, match=r"nowhere\.mp4"):
        open_sources([path, tmp_path / "nowhere.mp4", path])
    # One that is still being opened then is closed when it is there.
    wait_until(lambda: not any(map(_is_opening, threading.enumerate())))
    wait_until(lambda: str(path) not in _open_files())


def _is_opening(thread):
    return thread.name == "edgekit-open"


def _open_files():
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(entry.readlink()))
    return found


def test_one_frame_is_a_video(make_video):
    (frame,) = frames_of(make_video(frames=1))
    assert (frame.index, frame.time) == (0, 0.0)


def test_a_video_with_percent_signs_and_digits_in_its_name(make_video):
    assert len(frames_of(make_video("100%03d_7.mp4", frames=3))) == 3


def test_closing_twice_is_harmless_and_ends_the_source(make_video):
    source = open_source(make_video())
    source.close()
    source.close()
    assert list(source) == []


@pytest.mark.shared
def test_real_clips_have_the_frames_that_their_annotations_say(shared):
    frames = frames_of(shared / "ucf24" / "v_Biking_g01_c01.mp4")
    assert len(frames) == 113
    assert frames[-1].time == pytest.approx(112 * 1001 / 30000, abs=1e-3)


def message_of(spec) -> str:
    with pytest.raises(MediaError) as caught:
        open_source(spec)
    assert caught.value.hint
    return caught.value.message


def test_a_missing_file(tmp_path):
    assert "no file or folder" in message_of(tmp_path / "none.mp4")


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "empty" in message_of(path)


def test_a_sound_file_under_a_video_name(tmp_path):
    path = tmp_path / "sound.mp4"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    assert "sound only (WAV)" in message_of(path)


def test_a_text_file_is_no_video(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a video\n" * 50)
    assert "no video" in message_of(path)


def test_a_file_of_zeros(tmp_path):
    path = tmp_path / "zeros.mp4"
    path.write_bytes(bytes(10_000))
    assert "no video" in message_of(path)


def test_an_mp4_cut_before_its_index(make_video):
    path = make_video(frames=40)
    path.write_bytes(path.read_bytes()[:-1500])
    assert "truncated" in message_of(path)


@pytest.mark.parametrize("share", [0.3, 0.55, 0.8])
def test_a_truncated_video_plays_to_its_last_whole_frame_and_says_so(make_video, caplog, share):
    path = make_video("clip.avi", frames=40, codec="MJPG")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    frames = frames_of(path)
    assert 0 < len(frames) < 40
    assert f"{path} is truncated: its end is missing" in caplog.text
    assert "damaged" not in caplog.text
    assert str(path) in caplog.text


@pytest.mark.parametrize("cut", range(0, 6000, 450))
def test_any_cut_gives_frames_or_one_clear_error(make_video, cut):
    path = make_video(frames=40)
    path.write_bytes(path.read_bytes()[:cut])
    with contextlib.suppress(MediaError):
        assert frames_of(path)


def test_a_truncated_video_prints_nothing_of_its_own(make_video, capfd):
    path = make_video(frames=40)
    path.write_bytes(path.read_bytes()[:-1500])
    message_of(path)
    assert capfd.readouterr() == ("", "")


def test_a_whole_video_warns_of_nothing(make_video, caplog):
    frames_of(make_video())
    assert caplog.text == ""


@pytest.mark.skipif(Path("/dev/video63").exists(), reason="there is such a camera")
def test_no_camera_names_source_and_demo(capfd):
    with pytest.raises(MediaError) as caught:
        open_source(63)
    assert "Camera 63" in str(caught.value)
    assert "source" in str(caught.value)
    assert "edgekit demo" in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_stream_that_nobody_serves_hides_the_password():
    with pytest.raises(MediaError) as caught:
        open_source("http://user:secret@127.0.0.1:9/live")
    assert "127.0.0.1:9/live" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_folder_in_natural_order(make_folder):
    folder = make_folder(["f1.png", "f2.png", "f10.png", "F11.PNG"])
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    (folder / "folder.png").mkdir()
    with FramesSource(folder, fps=10) as source:
        frames = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 10, 20, 30]
    assert [frame.time for frame in frames] == [0.0, 0.1, 0.2, 0.3]


@given(st.lists(st.integers(0, 10**9), min_size=1, unique=True), st.sampled_from("ab-_ü"))
def test_natural_order_is_the_order_of_numbers(numbers, letter):
    names = [f"{letter}{number}.png" for number in numbers]
    expected = [f"{letter}{number}.png" for number in sorted(numbers)]
    assert sorted(names, key=natural_key) == expected


@given(st.lists(st.text(min_size=1), unique=True))
def test_natural_order_compares_and_distinguishes_any_names(names):
    keys = [natural_key(name) for name in names]
    assert len(set(keys)) == len(names)
    assert sorted(sorted(names), key=natural_key) == sorted(names, key=natural_key)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp"])
def test_broken_pictures_are_named_skipped_and_leave_a_gap(make_folder, caplog, capfd, ending):
    folder = make_folder([f"{n}{ending}" for n in range(5)])
    middle = folder / f"2{ending}"
    middle.write_bytes(middle.read_bytes()[: middle.stat().st_size // 2])
    (folder / f"4{ending}").write_bytes(b"")
    with FramesSource(folder) as source:
        frames = list(source)
        assert source.position == 5
    assert [(frame.index, frame.gap) for frame in frames] == [(0, ""), (1, ""), (3, "dropped")]
    assert f"2{ending}" in caplog.text
    assert f"4{ending}: it is empty" in caplog.text
    assert "2 of 5 pictures were skipped" in caplog.text
    assert capfd.readouterr() == ("", "")


def test_a_folder_without_pictures(tmp_path):
    assert "no picture in the folder" in message_of(tmp_path)


def test_a_folder_with_broken_pictures_only(make_folder):
    folder = make_folder(["a.png"])
    (folder / "a.png").write_bytes(b"\x89PNG")
    assert "none of 1 picture in" in message_of(folder)


def test_one_picture_is_a_source(make_folder):
    (frame,) = frames_of(make_folder(["a.png", "b.png"]) / "b.png")
    assert frame.image.shape == (48, 64, 3)


def test_grey_and_transparent_pictures_come_in_three_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8), np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((8, 8, 4), np.uint8))
    assert [frame.image.shape for frame in frames_of(tmp_path)] == [(8, 8, 3)] * 2


@pytest.mark.usefixtures("bound_by_permissions")
def test_an_unreadable_file_says_so(make_video):
    path = make_video()
    path.chmod(0)
    with pytest.raises(MediaError, match="Permission denied"):
        open_source(path)


def test_a_video_that_changes_size_midway_plays_on_in_its_first_size(tmp_path):
    path = tmp_path / "clip.mjpeg"
    pictures = [np.full((48, 64, 3), 90, np.uint8)] * 5 + [np.full((96, 100, 3), 200, np.uint8)] * 5
    path.write_bytes(b"".join(cv2.imencode(".jpg", image)[1].tobytes() for image in pictures))
    frames = frames_of(path)
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 10
    levels = [frame.image.mean() for frame in frames]
    assert levels == pytest.approx([90] * 5 + [200] * 5, abs=2)


@pytest.mark.parametrize(
    "name",
    ["-", "http:/127.0.0.1:9/x", "rtsp://127.0.0.1:9/x", "videotestsrc ! fakesink", "/dev/nothing"],
)
def test_a_path_is_nothing_but_a_file_or_folder(name):
    with pytest.raises(MediaError, match="There is no file or folder"):
        open_source(Path(name))


def test_pipes_and_devices_among_the_pictures_of_a_folder_are_skipped(tmp_path, caplog):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8, 3), np.uint8))
    os.mkfifo(tmp_path / "2.png")
    (tmp_path / "3.png").symlink_to("/dev/zero")
    with (tmp_path / "4.png").open("wb") as file:
        file.truncate(1 << 40)
    assert [frame.index for frame in frames_of(tmp_path)] == [0]
    assert caplog.text.count("it is not a regular file") == 2
    assert "at most 268435456 are read" in caplog.text
