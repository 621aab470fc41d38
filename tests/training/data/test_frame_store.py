from __future__ import annotations

import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit._progress import SILENT
from edgekit.calibration.cache import contents_of
from edgekit.errors import MediaError, OutputError
from edgekit.training.data.frame_reader import ClipReader
from edgekit.training.data.frame_store import FrameStore
from edgekit.training.data.preparing import ClipSource, prepared_clips
from edgekit.training.data.stored_video import DATA
from edgekit.training.optimization.process_group import ALONE
from tests.training.data.clips import SIZE, frame, pictures, truth, video

ROOM = 10**9


def prepared(videos, store: Path, *, share=1.0, size=(64, 96), most=ROOM):
    source = ClipSource([(0, each) for each in videos], share, size, store, most, 2)
    said: list[str] = []
    with prepared_clips(source, ALONE, SILENT, said.append) as clips:
        return clips, said


def test_frames_of_pictures_and_videos(tmp_path: Path) -> None:
    """Any frame of a video is within 4 grey levels of the original, and pictures are exact."""
    videos = [
        truth(video(tmp_path / "a.mp4", 8), 8),
        truth(pictures(tmp_path / "b", 5), 5),
        truth(video(tmp_path / "c.mp4", 4), 4),
    ]
    clips, said = prepared(videos, tmp_path / "store")
    assert len(said) == 1
    assert said[0].startswith("Storing the frames of 2 videos in ")
    reader = ClipReader(clips.places)
    for clip, index in [(0, 7), (1, 4), (2, 3), (0, 0), (1, 0), (2, 1)]:
        found = reader.read(clip, index)
        assert found.size == SIZE
        assert found.scale == (1.0, 1.0)
        difference = np.abs(found.image.astype(int) - frame(index))
        assert difference.max() <= (0 if clip == 1 else 12)
        assert difference.mean() <= 4
    _, said = prepared(videos, tmp_path / "store")
    assert said == []
    assert contents_of(tmp_path / "store").pieces == {"frames": 2}


def test_part_of_a_clip_is_read(tmp_path: Path) -> None:
    videos = [truth(pictures(tmp_path / "b", 8), 8), truth(video(tmp_path / "a.mp4", 8), 8)]
    clips, _ = prepared(videos, tmp_path / "store", share=0.5)
    assert clips.index.start.tolist() == [0, 4, 8]
    reader = ClipReader(clips.places)
    np.testing.assert_array_equal(reader.read(0, 3).image, frame(3))
    assert np.abs(reader.read(1, 3).image.astype(int) - frame(3)).mean() <= 4


def test_large_videos_are_stored_smaller(tmp_path: Path) -> None:
    size = (480, 640)
    clips, _ = prepared([truth(video(tmp_path / "a.mp4", 3, size), 3, size)], tmp_path / "store")
    found = ClipReader(clips.places).read(0, 2)
    assert found.size == size
    # The largest sample shows the video at 1.375 times the scale at which it fits the input.
    np.testing.assert_allclose(found.scale, 1.375 * 64 / 480, rtol=0.01)
    assert found.image.shape[:2] == (88, 117)


def test_a_stored_video_is_known_by_its_content(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", 4)
    prepared([truth(path, 4)], tmp_path / "store")
    moved = tmp_path / "moved.mp4"
    path.rename(moved)
    assert prepared([truth(moved, 4)], tmp_path / "store")[1] == []
    video(moved, 5)
    assert len(prepared([truth(moved, 5)], tmp_path / "store")[1]) == 1


def test_a_video_of_two_datasets_is_stored_once(tmp_path: Path) -> None:
    videos = [truth(video(tmp_path / name, 4), 4) for name in ("a.mp4", "b.mp4")]
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    clips, said = prepared(videos, tmp_path / "store")
    assert said[0].startswith("Storing the frames of 1 video in ")
    assert clips.index.start.tolist() == [0, 4, 8]
    assert ClipReader(clips.places).read(1, 3).size == SIZE


def test_a_stored_video_is_compared_with_the_annotations_of_each_run(tmp_path: Path) -> None:
    videos = [truth(video(tmp_path / f"{name}.mp4", 4), 4) for name in "abc"]
    prepared(videos, tmp_path / "store")
    prepared([truth(each.path, 3) for each in videos], tmp_path / "store")
    videos[1:] = [truth(each.path, 6) for each in videos[1:]]
    with pytest.raises(MediaError, match="2 videos cannot be used") as caught:
        prepared(videos, tmp_path / "store")
    for name in "bc":
        assert f"{name}.mp4 holds 4 frames, and its annotation says 6." in caught.value.message


def test_damage_is_found(tmp_path: Path) -> None:
    one = [truth(video(tmp_path / "a.mp4", 4), 4)]
    store = tmp_path / "store"
    clips, _ = prepared(one, store)
    (data,) = store.glob(f"*/{DATA}")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    reader = ClipReader(clips.places)
    with pytest.raises(MediaError, match="is damaged") as caught:
        [reader.read(0, index) for index in range(4)]
    assert str(data.parent) in caught.value.message
    data.write_bytes(content[:-1])  # half a file is no stored video
    assert len(prepared(one, store)[1]) == 1
    data.with_name("index").unlink()
    assert len(prepared(one, store)[1]) == 1


def test_interrupted_work_leaves_nothing_that_is_believed(tmp_path: Path) -> None:
    videos = [truth(video(tmp_path / f"{n}.mp4", 4 + n), 4 + n) for n in range(3)]
    store = FrameStore(tmp_path / "store", ROOM)
    need = store.need(videos, (64, 96), 1, SILENT)
    assert need.missing == (0, 1, 2)
    threads = threading.active_count()

    class Stop(type(SILENT)):
        def advance(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.make(videos, need, 1, Stop())
    after = store.need(videos, (64, 96), 1, SILENT)
    assert len(after.missing) < 3
    store.make(videos, after, 1, SILENT)
    assert store.need(videos, (64, 96), 1, SILENT).missing == ()
    assert threading.active_count() == threads


def test_a_video_that_another_run_stores_first_stays(tmp_path: Path) -> None:
    videos = [truth(video(tmp_path / "a.mp4", 4), 4)]
    store = FrameStore(tmp_path / "store", ROOM)
    need = store.need(videos, (64, 96), 1, SILENT)
    store.make(videos, need, 1, SILENT)
    (place,) = (tmp_path / "store").iterdir()
    first = place.stat().st_ino
    store.make(videos, need, 1, SILENT)  # this run looked before the other had stored it
    assert place.stat().st_ino == first


def test_a_store_that_would_be_too_large_is_refused(tmp_path: Path) -> None:
    videos = [truth(video(tmp_path / "a.mp4", 30), 30)]
    with pytest.raises(OutputError, match="1 video has to be stored as pictures, about") as e:
        prepared(videos, tmp_path / "store", most=1000)
    assert "frame_store_size=1000000000" in e.value.hint
    assert not list((tmp_path / "store").glob("frames-*"))
    store = FrameStore(tmp_path / "store", 2000)  # the estimate may be too low
    need = store.need(videos, (64, 96), 1, SILENT)
    with pytest.raises(OutputError, match="would grow over"):
        store.make(videos, need, 1, SILENT)
    assert not list((tmp_path / "store").glob("frames-*"))


def test_no_space_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [truth(video(tmp_path / "a.mp4", 4), 4)]
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match=r"Only 100 bytes are free"):
        prepared(videos, tmp_path / "store")


def test_broken_videos_are_named_and_the_others_stored(tmp_path: Path) -> None:
    videos = [truth(video(tmp_path / f"{n}.mp4", 4), 4 if n < 3 else 9) for n in range(5)]
    video(tmp_path / "0.mp4", 6)  # of another content than the others
    with pytest.raises(MediaError, match="2 videos cannot be used") as caught:
        prepared(videos, tmp_path / "store")
    assert "3.mp4 holds 4 frames, and its annotation says 9" in caught.value.message
    assert "4.mp4" in caught.value.message
    assert prepared(videos[:3], tmp_path / "store")[1] == []


def test_missing_clips(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="did not find its file"):
        prepared([truth(None, 3)], tmp_path)
    # A path is a file and no source of another kind.
    with pytest.raises(MediaError, match="There is no file or folder videotestsrc"):
        prepared([truth(Path("videotestsrc ! fakesink"), 3)], tmp_path)
    with pytest.raises(MediaError, match="holds 3 frames, and its annotation says 4"):
        prepared([truth(pictures(tmp_path / "short", 3), 4)], tmp_path)


def test_a_picture_that_vanishes_or_breaks(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "b", 3)
    clips, _ = prepared([truth(folder, 3)], tmp_path / "store")
    reader = ClipReader(clips.places)
    (folder / "00002.png").write_bytes(b"rubbish")
    with pytest.raises(MediaError, match=r"Cannot read the picture .*00002\.png"):
        reader.read(0, 1)
    (folder / "00003.png").unlink()
    with pytest.raises(MediaError, match=r"00003\.png: No such file"):
        reader.read(0, 2)


def test_deep_pictures_are_scaled_together(tmp_path: Path) -> None:
    """Pictures of more than 8 bits go through the store, which knows the largest value of all."""
    folder = tmp_path / "deep"
    folder.mkdir()
    for number in range(3):
        image = np.full((64, 96, 3), 300 * (number + 1), np.uint16)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    clips, said = prepared([truth(folder, 3)], tmp_path / "store")
    assert len(said) == 1
    levels = [ClipReader(clips.places).read(0, n).image.mean() for n in range(3)]
    np.testing.assert_allclose(levels, [75, 150, 224], atol=2)  # of 10 bits


def test_all_videos_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    videos = [truth(video(tmp_path / f"{n}.mp4", 4), 4) for n in range(4)]
    for each, content in zip(videos[1:], (b"", b"no video" * 99), strict=False):
        assert each.path is not None
        each.path.write_bytes(content)
    with pytest.raises(MediaError, match="2 videos cannot be used") as caught:
        prepared(videos, tmp_path / "store")
    for name in ("1.mp4 is empty", "2.mp4 holds no video"):
        assert name in caught.value.message
    assert "edgekit dataset check" in caught.value.hint
    short = [truth(pictures(tmp_path / name, 4), 5) for name in ("a", "b", "c", "d")]
    with pytest.raises(MediaError, match="5 videos cannot be used") as caught:
        prepared([*short, *videos[:2], truth(tmp_path / "gone", 4)], tmp_path / "store")
    assert "a holds 4 frames, and its annotation says 5" in caught.value.message
    assert "and 2 more" in caught.value.message
