from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.calibration.sequences import find_sequences
from edgekit.errors import CalibrationError


def names(found):
    return [sequence.path.name for sequence in found]


def test_a_folder_gives_its_videos_in_natural_order(clips):
    assert names(find_sequences(clips)) == ["clip1.avi", "clip2.avi", "clip10.avi"]


def test_a_video_is_one_sequence(clips):
    (only,) = find_sequences(clips / "clip2.avi")
    assert len(list(only.frames())) == 12


def test_folders_of_pictures_are_sequences_wherever_they_lie(tmp_path):
    for folder in ("a/1", "a/2", "b"):
        (tmp_path / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / "00001.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "empty").mkdir()
    assert names(find_sequences(tmp_path)) == ["1", "2", "b"]


def test_a_list_names_paths_below_its_own_folder(clips, tmp_path):
    (tmp_path / "clips").symlink_to(clips)
    listed = tmp_path / "list.txt"
    shutil.copy(clips / "clip1.avi", tmp_path / "take #2.avi")
    lines = "#comment\nclips/clip10.avi  # one\r\n\ntake #2.avi\nclips/clip1.avi\n"
    for encoding in ("utf-8", "utf-8-sig"):
        listed.write_text(lines, encoding=encoding)
        assert names(find_sequences(listed)) == ["clip10.avi", "take #2.avi", "clip1.avi"]


def test_the_content_counts_and_not_the_path(clips, tmp_path):
    copy = tmp_path / "other.avi"
    shutil.copy(clips / "clip1.avi", copy)
    same, first, second = (
        find_sequences(path)[0].sha256 for path in (copy, clips / "clip1.avi", clips / "clip2.avi")
    )
    assert same == first != second


def test_what_cannot_be_read_is_named_skipped_and_counted(clips, tmp_path, caplog):
    shutil.copytree(clips, tmp_path / "clips")
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"no video")
    found = find_sequences(tmp_path / "clips")
    assert len(found) == 3
    assert "broken.mp4" in caplog.text
    assert "1 of 4 videos or folders were skipped" in caplog.text


def test_a_folder_that_may_not_be_read_is_skipped(tmp_path, monkeypatch, caplog):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "00001.png"), np.zeros((8, 8, 3), np.uint8))
    listed = Path.iterdir

    def refusing(folder):
        # The tests may run as root, who may read every folder.
        if folder == tmp_path / "b":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    assert names(find_sequences(tmp_path)) == ["a"]
    assert f"Skipped {tmp_path / 'b'}: Permission denied." in caplog.text


@pytest.mark.parametrize("content", [None, b"no video"])
def test_nothing_to_read_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / "x.mp4").write_bytes(content)
    with pytest.raises(CalibrationError, match=r"No videos or pictures|None of the videos"):
        find_sequences(tmp_path)


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(CalibrationError, match="there is none"):
        find_sequences(tmp_path / "nowhere")


def test_a_path_that_is_too_long_is_an_error(tmp_path):
    with pytest.raises(CalibrationError, match="there is none"):
        find_sequences(tmp_path / ("long" * 100))


def test_readers_that_overlap_leave_the_warnings_as_they_were(clips):
    media = logging.getLogger("edgekit.media")
    before = media.level
    first, second = (find_sequences(clips)[0].frames(again=True) for _ in range(2))
    for reader in (first, second):
        next(reader)
    first.close()
    assert media.level == logging.ERROR
    second.close()
    assert media.level == before


def test_a_line_of_a_list_that_leads_nowhere_is_skipped(clips, tmp_path, caplog):
    listed = tmp_path / "list.txt"
    (tmp_path / "clip1.avi").symlink_to(clips / "clip1.avi")
    listed.write_text("nowhere.mp4\nlist.txt\nclip1.avi\n")
    assert names(find_sequences(listed)) == ["clip1.avi"]
    assert "nowhere.mp4" in caplog.text
    assert "2 of 3 videos or folders were skipped" in caplog.text


def test_a_list_of_endless_lines_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("clip1.avi\n" * 100_001)
    with pytest.raises(CalibrationError, match="has 100001 lines, and at most 100000 are read"):
        find_sequences(tmp_path / "list.txt")


def test_a_line_of_a_list_that_leads_out_of_its_folder_is_refused(clips, tmp_path):
    (tmp_path / "data").mkdir()
    shutil.copy(clips / "clip1.avi", tmp_path / "clip1.avi")
    listed = tmp_path / "data" / "list.txt"
    for name in ("../clip1.avi", str(tmp_path / "clip1.avi"), "/dev/zero", ".."):
        listed.write_text(f"{name}\n")
        with pytest.raises(CalibrationError, match="not a path inside") as caught:
            find_sequences(listed)
        assert repr(name)[:70].rstrip("'") in caught.value.message  # a long name is cut


def test_a_line_of_a_list_is_no_address_pipeline_or_standard_input(tmp_path, caplog):
    listed = tmp_path / "list.txt"
    listed.write_text("-\nrtsp://127.0.0.1:9/x\nvideotestsrc ! fakesink\n")
    with pytest.raises(CalibrationError, match="None of the videos"):
        find_sequences(listed)
    assert caplog.text.count("There is no file or folder") == 3


def test_pipes_and_folders_among_pictures_are_skipped_without_waiting(tmp_path, caplog):
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8, 3), np.uint8))
    os.mkfifo(tmp_path / "2.png")
    (tmp_path / "3.png").mkdir()
    (found,) = find_sequences(tmp_path)
    assert len(list(found.frames())) == 1
    assert "2.png: it is not a regular file" in caplog.text
