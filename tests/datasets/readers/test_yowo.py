from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.datasets._faults import collected_faults
from edgekit.datasets.published import read_truth
from edgekit.errors import AnnotationError

NAME = "Biking/v_Biking_g08_c01"


def dataset(root: Path, labels: dict[int, str], lines: str = f"labels/{NAME}/00002.txt\n") -> Path:
    folder = root / "labels" / NAME
    folder.mkdir(parents=True)
    for frame, text in labels.items():
        (folder / f"{frame:05d}.txt").write_text(text)
    (root / "testlist.txt").write_text(lines)
    return root


def test_boxes_of_frames_become_tubes(tmp_path: Path, clip: Callable[..., Path]) -> None:
    labels = {2: "3 10 20 30 40\n", 3: "3 11 20 31 40\n3 40 20 50 40\n", 4: "3 12 20 32 40"}
    path = clip(dataset(tmp_path, labels) / "rgb-images" / NAME, 6)
    truth = read_truth("yowo", tmp_path)
    (video,) = truth.videos
    assert len(truth.classes) == 24
    assert (video.name, video.frames, video.width, video.height) == (NAME, 6, 64, 48)
    assert video.path == path
    long, short = video.tubes
    assert (long.label, long.start, long.end) == (2, 1, 3)
    assert long.boxes.tolist()[2] == [12, 20, 32, 40]
    assert (short.start, short.end) == (2, 2)


def test_a_video_that_does_not_say_its_number_of_frames_is_counted(
    tmp_path: Path, endless_clip: Callable[[Path], Path]
) -> None:
    endless_clip(dataset(tmp_path, {2: "3 10 20 30 40\n"}) / "rgb-images" / f"{NAME}.avi")
    (video,) = read_truth("yowo", tmp_path).videos
    assert (video.frames, video.width, video.height) == (30, 64, 48)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("testlist.txt", f"labels/{NAME}/00002.txt"),
        ("testlist_video.txt", NAME),
        ("testlist01.txt", f"{NAME}.avi 3"),
    ],
)
def test_lists_of_frames_and_of_videos_are_read(tmp_path: Path, file: str, line: str) -> None:
    dataset(tmp_path, {1: "3 1 2 3 4"}, line)
    (tmp_path / "testlist.txt").rename(tmp_path / file)
    (video,) = read_truth("yowo", tmp_path).videos
    assert (video.name, video.frames, video.width) == (NAME, 1, 320)  # without its pictures


def test_own_classes_are_the_folders(tmp_path: Path) -> None:
    for name in ("wave", "jump"):
        (tmp_path / "labels" / name / "a").mkdir(parents=True)
    (tmp_path / "labels/wave/a/00001.txt").write_text("2 1 2 3 4")
    (tmp_path / "testlist.txt").write_text("labels/wave/a/00001.txt\n")
    truth = read_truth("yowo", tmp_path)
    assert truth.classes == ["jump", "wave"]
    assert truth.videos[0].tubes[0].label == 1


@pytest.mark.parametrize(
    ("labels", "lines", "message"),
    [
        ({}, "\n", "no video in the list"),
        ({1: ""}, "a/b/c/d\n", "line 1: expected labels/Class/video/00001.txt"),
        ({1: "25 1 2 3 4"}, NAME, "a class from 1 to 24, and x1 y1 x2 y2; found '25 1 2 3 4'"),
        ({1: "3 1 2 3"}, NAME, "found '3 1 2 3'"),
        ({1: "3 1 2 3 nan"}, NAME, "infinite or NaN"),
        ({0: "3 1 2 3 4"}, NAME, "from 00001.txt"),
        ({1: "3 1 2 3 4\n" * 257}, NAME, "frame 0 has 257 boxes without a track"),
        ({1: ""}, "Biking/v_gone", "its labels cannot be read"),
        ({1: ""}, "labels/../00001.txt", "its labels cannot be read"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, labels: dict[int, str], lines: str, message: str
) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_truth("yowo", dataset(tmp_path, labels, lines))
    assert message in caught.value.message


def test_without_labels_every_video_is_a_fault_and_the_class_names_are_those_of_the_list(
    tmp_path: Path,
) -> None:
    (tmp_path / "testlist.txt").write_text(f"{NAME}\nwave/a\n")
    with collected_faults() as faults:
        truth = read_truth("yowo", tmp_path)
    assert (truth.classes, truth.videos) == (["Biking", "wave"], [])
    assert [fault.message for fault in faults] == [
        f"Wrong annotation in {tmp_path / 'labels'}, video '{name}': its labels cannot be read: No "
        "such file or directory."
        for name in (NAME, "wave/a")
    ]


def test_labels_that_are_no_file_are_named(tmp_path: Path) -> None:
    folder = dataset(tmp_path, {1: "3 1 2 3 4"}) / "labels" / NAME
    (folder / "00002.txt").mkdir()
    with pytest.raises(AnnotationError, match=r"00002\.txt: it cannot be read: Is a directory"):
        read_truth("yowo", tmp_path)


def test_a_list_without_a_number_is_that_of_the_first_split(tmp_path: Path) -> None:
    dataset(tmp_path, {1: "3 1 2 3 4"})
    assert len(read_truth("yowo", tmp_path).videos) == 1
    with pytest.raises(AnnotationError, match=r"testlist02\.txt") as caught:
        read_truth("yowo", tmp_path, split=2)
    assert f"{tmp_path} has testlist.txt. " in caught.value.hint
    (tmp_path / "testlist02.txt").write_text(f"{NAME}\n{NAME}a\n")
    (tmp_path / "labels" / f"{NAME}a").mkdir()
    assert len(read_truth("yowo", tmp_path, split=2).videos) == 2


def test_files_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    dataset(tmp_path, {2: "\ufeff3 10 20 30 40\r\n"}, f"\ufefflabels/{NAME}/00002.txt\r\n")
    (video,) = read_truth("yowo", tmp_path).videos
    assert (video.name, video.tubes[0].label) == (NAME, 2)


def test_hidden_files_are_no_labels(tmp_path: Path, clip: Callable[..., Path]) -> None:
    folder = dataset(tmp_path, {2: "3 10 20 30 40"}) / "labels" / NAME
    (folder / "._00001.txt").write_bytes(b"\0\5\26\7Mac OS X")
    path = clip(tmp_path / "rgb-images" / NAME, 6)
    (path / "._00001.jpg").write_bytes(b"\0\5\26\7Mac OS X")
    (video,) = read_truth("yowo", tmp_path).videos
    assert (video.frames, [tube.start for tube in video.tubes]) == (6, [1])
