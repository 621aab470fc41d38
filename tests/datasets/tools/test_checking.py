from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.datasets.published import read_truth
from edgekit.datasets.tools.checking import check_dataset
from edgekit.datasets.tools.loading import DatasetChoice
from edgekit.datasets.video_facts import refuse_other_size
from edgekit.errors import AnnotationError, MediaError


def tube(label: int = 0, start: int = 0, end: int = 4, x: float = 1) -> dict[str, Any]:
    return {
        "label": label,
        "start": start,
        "end": end,
        "boxes": [[x, 1, x + 20, 30]] * (end - start),
    }


def video(*tubes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"width": 64, "height": 48, "frames": 30, "tubes": list(tubes), **changes}


def dataset(
    root: Path, videos: dict[str, Any], classes: tuple[str, ...] = ("walk", "jump")
) -> DatasetChoice:
    (root / "annotations.json").write_text(json.dumps({"classes": classes, "videos": videos}))
    return DatasetChoice(root)


def faults(choice: DatasetChoice, **options: Any) -> list[str]:
    found = check_dataset(choice, **options).faults
    return [f"{fault.video}: {fault.what}" if fault.video else fault.what for fault in found]


def test_a_good_dataset_has_no_fault(tmp_path: Path, clip: Callable[..., Path]) -> None:
    clip(tmp_path / "a.mp4")
    clip(tmp_path / "b")
    choice = dataset(tmp_path, {"a.mp4": video(tube()), "b": video(tube(), tube(1))})
    assert faults(choice) == []
    assert faults(choice, decode=True) == []


def test_everything_is_in_one_list(tmp_path: Path, clip: Callable[..., Path]) -> None:
    for name in ("good", "long", "gap"):
        clip(tmp_path / name)
    (tmp_path / "gap/00007.jpg").unlink()
    clip(tmp_path / "small.mp4", 30, (32, 48))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    content = {
        "good": video(tube(), tube(x=30)),
        "long": video(tube(), frames=31),
        "gap": video(tube()),
        "small.mp4": video(tube()),
        "broken.mp4": video(tube()),
        "gone.mp4": video(tube()),
        "twice": video(tube(), tube(start=1, x=2)),
        "outside": video(tube(x=60)),
        "unknown": video(tube(2)),
        "again": video({**tube(), "end": 5}),
    }
    for name in ("twice", "outside", "unknown", "again"):
        clip(tmp_path / name)
    found = faults(dataset(tmp_path, content, ("walk", "Walk")))
    path = tmp_path / "annotations.json"
    expected = [
        f"{path}, video 'outside', tube 0, frame 0: the box [60.0, 1.0, 80.0, 30.0] leaves its",
        f"{path}, video 'unknown', tube 0: label 2, expected 0 to 1",
        f"{path}, video 'again', tube 0: 4 boxes for 5 frames",
        "The classes 'walk' and 'Walk' differ in case or spaces only.",
        f"long: {tmp_path / 'long'} has 30 frames, and its annotation says 31.",
        f"gap: {tmp_path / 'gap'} has 29 frames, and its annotation says 30.",
        f"gap: 1 picture is missing in {tmp_path / 'gap'}: 7.",
        f"small.mp4: {tmp_path / 'small.mp4'} has 32x48 pixels, and its annotation says 64x48.",
        "broken.mp4: ",
        f"gone.mp4: The video is missing: {tmp_path / 'gone.mp4'}.",
        "twice: Tubes 0 and 1 have one class and one place (mean overlap 0.90): an action is",
    ]
    assert len(found) == len(expected)
    for words, fault in zip(expected, found, strict=True):
        assert words in fault


def test_of_many_missing_pictures_the_first_are_named(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    folder = clip(tmp_path / "gap")
    choice = dataset(tmp_path, {"gap": video(tube(), frames=26)})
    for number in (2, 7, 8, 20):
        (folder / f"{number:05d}.jpg").unlink()
    words = f"gap: 4 pictures are missing in {folder}: 2, 7, 8 and others."
    assert faults(choice) == [words]
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("")
    choice = dataset(tmp_path, {"empty": video(tube())})
    assert faults(choice) == [f"empty: There is no picture in the folder {tmp_path / 'empty'}."]


def test_the_listed_sizes_are_those_that_train_and_eval_refuse(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    content = {"rounded": video(tube()), "other": video(tube())}
    for name, height in (("rounded", 236), ("other", 232)):
        clip(tmp_path / name, 30, (320, height))
        content[name].update(width=320, height=240)
    choice, refused = dataset(tmp_path, content), []
    for each in read_truth("json", tmp_path).videos:
        try:
            refuse_other_size(each)
        except MediaError as error:
            refused.append(f"{each.name}: {error.message}")
    assert faults(choice) == refused
    assert [line[:6] for line in refused] == ["other:"]


def test_three_of_many_videos_are_found(tmp_path: Path, clip: Callable[..., Path]) -> None:
    clip(tmp_path / "one", 2)
    names = [f"v{number:05d}" for number in range(1000)]
    for name in names:
        (tmp_path / name).symlink_to(tmp_path / "one")
    for name in names[1::400]:
        (tmp_path / name).unlink()
    choice = dataset(tmp_path, {name: video(tube(end=2), frames=2) for name in names})
    found = check_dataset(choice)
    assert [fault.video for fault in found.faults] == ["v00001", "v00401", "v00801"]
    assert found.videos == 1000


def test_a_frame_that_is_broken_is_found_by_decoding(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    clip(tmp_path / "a")
    (tmp_path / "a/00020.jpg").write_bytes(b"no picture")
    choice = dataset(tmp_path, {"a": video(tube())})
    assert faults(choice) == []
    assert faults(choice, decode=True) == [
        f"a: {tmp_path / 'a'} has 29 frames, and its annotation says 30."
    ]


def test_pictures_that_are_not_there_at_all_are_one_fault(tmp_path: Path) -> None:
    found = faults(dataset(tmp_path, {name: video(tube()) for name in "abc"}))
    assert found == [f"None of the 3 videos is there; expected {tmp_path / 'a'}."]


@pytest.mark.parametrize(
    ("train", "test", "both"), [("abcdef", "gfedcb", "bcdef"), ("abc", "abc", "abc")]
)
def test_videos_in_both_parts_are_found_in_their_order(
    tmp_path: Path, clip: Callable[..., Path], train: str, test: str, both: str
) -> None:
    for name in "abcdefg":
        clip(tmp_path / name)
    for part, names in (("train", train), ("test", test)):
        dataset(tmp_path, {name: video(tube()) for name in names})
        shutil.move(tmp_path / "annotations.json", tmp_path / f"annotations-{part}.json")
    found = faults(DatasetChoice(tmp_path))
    said = "The video is in the training part and in the test part."
    assert found == [f"{name}: {said}" for name in both]


def test_classes_of_both_parts_are_compared(tmp_path: Path, clip: Callable[..., Path]) -> None:
    for part, name, classes in (("train", "a", ("walk",)), ("test", "b", ("Walk", "run"))):
        clip(tmp_path / name)
        dataset(tmp_path, {name: video(tube())}, classes)
        shutil.move(tmp_path / "annotations.json", tmp_path / f"annotations-{part}.json")
    said = "The classes 'walk' and 'Walk' differ in case or spaces only."
    assert faults(DatasetChoice(tmp_path)) == [said]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text("{")
    (fault,) = faults(DatasetChoice(tmp_path, "json"))
    assert "Wrong annotation in" in fault
    assert faults(DatasetChoice(tmp_path)) == [fault]
    (tmp_path / "annotations.json").unlink()
    with pytest.raises(AnnotationError, match="no annotations that EdgeKit knows"):
        check_dataset(DatasetChoice(tmp_path))


def test_a_video_counts_by_what_can_be_decoded(tmp_path: Path, clip: Callable[..., Path]) -> None:
    clip(tmp_path / "a.mp4", 20)
    found = faults(dataset(tmp_path, {"a.mp4": video(tube())}))
    assert found == [f"a.mp4: {tmp_path / 'a.mp4'} has 20 frames, and its annotation says 30."]
    assert faults(dataset(tmp_path, {"a.mp4": video(tube(), frames=20)})) == []


def test_a_check_ends_after_a_thousand_faults(tmp_path: Path) -> None:
    lines = ["v,0902,0,0,1,1,1"] * 3 + ["v,0902,0,0,2,1,1"] * 2000
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = faults(DatasetChoice(tmp_path, dataset="ava", part="test"))
    assert "line 4: expected" in found[0]
    assert "over 1000 faults" in found[1000]
    assert len(found) <= 1003


@pytest.mark.parametrize("videos", [{}, {"a": video()}])
def test_annotations_without_an_action_are_a_fault(
    tmp_path: Path, clip: Callable[..., Path], videos: dict[str, Any]
) -> None:
    clip(tmp_path / "a")
    found = faults(dataset(tmp_path, videos))
    assert found == [f"No action is annotated. Number of videos: {len(videos)}."]
