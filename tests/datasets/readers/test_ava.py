from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.datasets._faults import collected_faults
from edgekit.datasets.published import read_truth
from edgekit.datasets.readers.ava import _span
from edgekit.errors import AnnotationError

# The columns of ava_val_v2.2.csv: the movie, the second, the box, the action and the person.
LINES = """\
1j20qq1JyX4,0000,0.000,0.250,0.500,1.000,12,1
1j20qq1JyX4,0001,0.500,0.250,1.000,1.000,12,1
1j20qq1JyX4,0001,0.500,0.250,1.000,1.000,80,1
"""
NAMES = """\
item {
  name: "stand"
  id: 12
}
item {
  name: "watch (a person)"
  id: 80
}
"""


OFFICIAL = """\
label {
  name: "stand"
  label_id: 12
  label_type: PERSON_MOVEMENT
}
label {
  name: "watch (a person)"
  label_id: 80
  label_type: PERSON_INTERACTION
}
"""


def dataset(root: Path, lines: str = LINES) -> Path:
    (root / "ava_val_v2.2.csv").write_text(lines)
    (root / "ava_action_list_v2.2_for_activitynet_2019.pbtxt").write_text(NAMES)
    return root


def test_keyframes_become_tubes(tmp_path: Path, clip: Callable[..., Path]) -> None:
    path = clip(dataset(tmp_path) / "videos/1j20qq1JyX4.mp4")
    truth = read_truth("ava", tmp_path)
    (video,) = truth.videos
    assert truth.classes == ["stand", "watch (a person)"]
    assert (video.frames, video.width, video.height, video.path) == (30, 64, 48, path)
    stand, watch = video.tubes
    assert (stand.label, stand.start, stand.end) == (0, 0, 25)
    assert stand.boxes[0].tolist() == [0, 12, 32, 48]
    assert stand.boxes[25].tolist() == [32, 12, 64, 48]
    assert stand.boxes[10, 0] == pytest.approx(32 * 10 / 25)
    assert (watch.label, watch.start, watch.end) == (1, 25, 25)


def test_a_video_that_does_not_say_its_number_of_frames_is_counted(
    tmp_path: Path, endless_clip: Callable[[Path], Path]
) -> None:
    endless_clip(dataset(tmp_path) / "videos/1j20qq1JyX4.mp4")
    (video,) = read_truth("ava", tmp_path).videos
    assert (video.frames, video.width, video.height) == (30, 64, 48)
    assert [(tube.start, tube.end) for tube in video.tubes] == [(0, 25), (25, 25)]


def test_actors_that_no_person_tells_apart_are_refused(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    lines = "a,0,0.1,0.1,0.3,0.9,12\na,0,0.1,0.1,0.3,0.9,12\na,1,0.1,0.1,0.3,0.9,12\n"
    clip(dataset(tmp_path, lines) / "videos/a.mp4")
    assert len(read_truth("ava", tmp_path).videos[0].tubes) == 1
    dataset(tmp_path, f"{lines}a,1,0.6,0.1,0.8,0.9,12\n")
    with pytest.raises(AnnotationError, match="action 12 has several boxes at second 1, and no"):
        read_truth("ava", tmp_path)


def test_the_official_list_of_names_is_read(tmp_path: Path, clip: Callable[..., Path]) -> None:
    clip(dataset(tmp_path) / "videos/1j20qq1JyX4.mp4")
    (tmp_path / "ava_action_list_v2.2_for_activitynet_2019.pbtxt").unlink()
    assert read_truth("ava", tmp_path).classes == ["action12", "action80"]
    (tmp_path / "ava_action_list_v2.2.pbtxt").write_text(OFFICIAL)
    assert read_truth("ava", tmp_path).classes == ["stand", "watch (a person)"]


@pytest.mark.parametrize("item", ["name: 'a' ", "name:'a' id: ", f"name: 'a' id: {'9' * 5000} "])
def test_a_list_of_actions_that_never_fits_is_read_once(
    tmp_path: Path, clip: Callable[..., Path], item: str
) -> None:
    clip(dataset(tmp_path) / "videos/1j20qq1JyX4.mp4")
    path = tmp_path / "ava_action_list_v2.2_for_activitynet_2019.pbtxt"
    path.write_text((item * 100_000)[: 1 << 20])
    assert read_truth("ava", tmp_path).classes == ["action12", "action80"]


def test_cut_videos_begin_at_second_900(tmp_path: Path, clip: Callable[..., Path]) -> None:
    lines = LINES.replace(",0000,", ",0900,").replace(",0001,", ",0901,")
    clip(dataset(tmp_path, lines) / "videos/1j20qq1JyX4.mp4")
    (video,) = read_truth("ava", tmp_path).videos
    assert [(tube.start, tube.end) for tube in video.tubes] == [(0, 25), (25, 25)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a,0,0.1,0.1,0.2,0.2,x,1\n", "line 1: expected video_id"),
        ("a;0;0.1;0.1;0.2;0.2;1;1\n", "line 1: expected video_id"),
        ("a,0,10,10,20,20,1,1\n", "sides from 0 to 1"),
        ("a,0,0.1,0.1\n", "line 1"),
        ("1j20qq1JyX4,500,0,0,1,1,12,1\n", "1 of its boxes are later, at second 500."),
        (
            "gone,0,0,0,1,1,12,1\n",
            "needs the video 'gone', for its size and rate. The dataset's folder has no video of "
            "that name.",
        ),
        ("../a,0,0,0,1,1,12,1\n", "not a path inside"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, clip: Callable[..., Path], lines: str, message: str
) -> None:
    clip(dataset(tmp_path, lines) / "videos/1j20qq1JyX4.mp4")
    with pytest.raises(AnnotationError) as caught:
        read_truth("ava", tmp_path)
    assert message in caught.value.message


def test_keyframes_past_the_end_are_listed_and_not_moved(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    late = "".join(f"1j20qq1JyX4,{second},0,0,1,1,12,1\n" for second in range(2, 9))
    clip(dataset(tmp_path, LINES + late) / "videos/1j20qq1JyX4.mp4")
    with pytest.raises(AnnotationError) as caught:
        read_truth("ava", tmp_path)
    expected = (
        "video '1j20qq1JyX4': it ends at second 1.20, and 7 of its boxes are later, at second "
        "2, 3, 4, 5, 6 and 2 more."
    )
    assert expected in caught.value.message
    assert "edgekit dataset check" in caught.value.hint
    # A check lists the fault, and keeps what is in the video.
    with collected_faults() as faults:
        (video,) = read_truth("ava", tmp_path).videos
    assert [fault.message for fault in faults] == [caught.value.message]
    assert [(tube.start, tube.end) for tube in video.tubes] == [(0, 25), (25, 25)]


@pytest.mark.parametrize("start", [0, 900])
def test_a_keyframe_at_the_very_end_belongs_to_the_last_frame(
    tmp_path: Path, clip: Callable[..., Path], start: int
) -> None:
    lines = f"1j20qq1JyX4,{start},0,0,1,1,12,1\n1j20qq1JyX4,{start + 1},0,0,1,1,12,1\n"
    clip(dataset(tmp_path, lines) / "videos/1j20qq1JyX4.mp4", 25)
    (video,) = read_truth("ava", tmp_path).videos
    assert [(tube.start, tube.end) for tube in video.tubes] == [(0, 24)]


@pytest.mark.parametrize(
    ("seconds", "duration", "span"),
    [
        ([902.0, 1798.0], 901.0, (900.0, 1801.0)),  # AVA's own
        ([902.0, 1798.0], 5400.0, (0.0, 5400.0)),  # a whole film
        ([902.0, 1798.0], 1000.0, (0.0, 1000.0)),  # a film of which the end is missing
        ([2.0, 1000.0], 901.0, (0.0, 901.0)),
        ([], 10.0, (0.0, 10.0)),
    ],
)
def test_only_a_video_of_quarter_of_an_hour_is_a_cut_one(
    seconds: list[float], duration: float, span: tuple[float, float]
) -> None:
    assert _span(seconds, duration) == span


def test_more_lines_than_are_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v,0902\n" * 1_000_001)
    with pytest.raises(AnnotationError, match="it has more than 1000000 lines"):
        read_truth("ava", tmp_path)


@pytest.mark.parametrize("text", ["v,1" + "," * 10_000, "v,1\r" * 1_000_002])
def test_a_line_without_end_and_other_line_ends_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(AnnotationError, match="one of over 10000 characters"):
        read_truth("ava", tmp_path)


@pytest.mark.parametrize("header", ["", "video_id,timestamp,x1,y1,x2,y2,action,person\r\n"])
def test_files_with_a_byte_order_mark_are_read(
    tmp_path: Path, clip: Callable[..., Path], header: str
) -> None:
    path = clip(dataset(tmp_path, f"\ufeff{header}{LINES}") / "videos/1j20qq1JyX4.mp4")
    (video,) = read_truth("ava", tmp_path).videos
    assert (video.path, len(video.tubes)) == (path, 2)


def test_several_boxes_of_a_person_at_one_second_are_said(
    tmp_path: Path, clip: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    last = "1j20qq1JyX4,000{},0.000,0.000,0.250,0.500,12,1\n"  # the first in the order of numbers
    lines = LINES + last.format(0) + last.format(1)
    clip(dataset(tmp_path, lines) / "videos/1j20qq1JyX4.mp4")
    (video,) = read_truth("ava", tmp_path).videos
    assert video.tubes[0].boxes[[0, 25]].tolist() == [[0, 0, 16, 24]] * 2
    assert "person 1: there are several at second 0, 1, and the last one is taken" in caplog.text
