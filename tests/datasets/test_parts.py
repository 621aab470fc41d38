from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.datasets._parts import files_of_part
from edgekit.datasets.published import read_truth
from edgekit.datasets.recognition import layouts_in
from edgekit.datasets.tools.loading import DatasetChoice, read_parts, whole
from edgekit.datasets.tools.statistics import statistics_of
from edgekit.errors import AnnotationError

BOX = [1, 2, 10, 20]
OWN = {
    "classes": ["wave"],
    "videos": {
        "a.mp4": {
            "width": 64,
            "height": 48,
            "frames": 30,
            "tubes": [{"label": 0, "start": 0, "end": 1, "boxes": [BOX]}],
        }
    },
}
COCO = {
    "videos": [{"id": 1, "name": "a", "width": 64, "height": 48, "length": 1}],
    "images": [{"id": 1, "video_id": 1, "frame_id": 0, "file_name": "1.jpg"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX}],
    "categories": [{"id": 1, "name": "wave"}],
}
DATUMARO = {
    "categories": {"label": {"labels": [{"name": "wave"}]}},
    "items": [
        {
            "id": "a/0",
            "annotations": [{"type": "bbox", "label_id": 0, "bbox": BOX}],
            "image": {"size": [48, 64]},
        }
    ],
}
KEY = {"frame": 1, "x": 1, "y": 1, "width": 20, "height": 20}
REGION = {"type": "videorectangle", "value": {"labels": ["wave"], "sequence": [KEY]}}
LABEL_STUDIO = [{"id": 1, "data": {"video": "a.mp4"}, "annotations": [{"result": [REGION]}]}]
AVA = "a,0000,0.1,0.2,0.5,0.9,12,1\n"

LAYOUTS: dict[str, tuple[str, Any]] = {
    "json": ("annotations-{}.json", OWN),
    "ava": ("ava_{}_v2.2.csv", AVA),
    "coco-video": ("annotations/instances_{}2017.json", COCO),
    "datumaro": ("annotations/{}.json", DATUMARO),
    "label-studio": ("{}.json", LABEL_STUDIO),
}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("dataset", LAYOUTS)
def test_hidden_files_are_no_part_of_a_dataset(
    tmp_path: Path, clip: Callable[..., Path], dataset: str
) -> None:
    """macOS writes one beside each file of another disk."""
    name, content = LAYOUTS[dataset]
    write(tmp_path / name.format("test"), content)
    clip(tmp_path / "a.mp4")
    expected = read_truth(dataset, tmp_path)
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7Mac OS X")
    assert layouts_in(tmp_path) == [dataset]
    found = read_truth(dataset, tmp_path)
    assert [video.name for video in found.videos] == [video.name for video in expected.videos]


@pytest.mark.parametrize(("part", "other"), [("train", "test"), ("test", "train")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_file_of_one_part_never_serves_the_other(
    tmp_path: Path, clip: Callable[..., Path], layout: str, part: str, other: str
) -> None:
    clip(tmp_path / "a.mp4")
    name, content = LAYOUTS[layout]
    write(tmp_path / name.format(part), content)
    assert len(read_truth(layout, tmp_path, part=part).videos) == 1
    with pytest.raises(AnnotationError) as caught:
        read_truth(layout, tmp_path, part=other)
    message = caught.value.message
    assert f"Expected the part {other} of the dataset {tmp_path}" in message
    assert f"found {name.format(part)}, of the part {part}." in message
    assert "edgekit dataset split" in caught.value.hint
    # A file of all videos beside it has those of the other part too.
    write(tmp_path / name.replace("{}", "all").replace("-all", ""), content)
    with pytest.raises(AnnotationError, match=f"Expected the part {other}"):
        read_truth(layout, tmp_path, part=other)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_equal_files_of_two_parts_are_not_one_part(
    tmp_path: Path, clip: Callable[..., Path], layout: str
) -> None:
    clip(tmp_path / "a.mp4")
    name, content = LAYOUTS[layout]
    every = tmp_path / name.replace("{}", "all").replace("-all", "")
    write(every, content)
    assert list(read_parts(DatasetChoice(tmp_path, layout))) == ["all"]
    every.unlink()
    for part in ("train", "test"):
        write(tmp_path / name.format(part), content)
    parts = read_parts(DatasetChoice(tmp_path, layout))
    assert {key: truth.part for key, truth in parts.items()} == {"train": "train", "test": "test"}


def test_parts_get_one_list_of_classes(tmp_path: Path, clip: Callable[..., Path]) -> None:
    """AVA's files without a list of actions have those that somebody is annotated with."""
    for name in "ab":
        clip(tmp_path / f"{name}.mp4")
    write(tmp_path / "ava_train.csv", AVA)
    write(tmp_path / "ava_val.csv", AVA.replace("a,", "b,").replace("12,1", "7,1"))
    parts = read_parts(DatasetChoice(tmp_path, "ava"))
    classes = ["action12", "action7"]
    assert [truth.classes for truth in parts.values()] == [classes, classes]
    assert [tube.label for video in whole(parts).videos for tube in video.tubes] == [0, 1]
    assert [one.boxes for one in statistics_of(parts).classes] == [1, 1]


@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"json"}))
def test_each_part_has_its_own_file(tmp_path: Path, clip: Callable[..., Path], layout: str) -> None:
    clip(tmp_path / "a.mp4")
    name, content = LAYOUTS[layout]
    write(tmp_path / name.format("train"), content)
    write(tmp_path / name.format("val"), "not,of,the,layout")
    assert len(read_truth(layout, tmp_path, part="train").videos) == 1
    with pytest.raises(AnnotationError, match=name.format("val")):
        read_truth(layout, tmp_path, part="test")


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (["all.csv"], "all.csv", "all.csv"),
        (["latest.csv"], "latest.csv", "latest.csv"),
        (["trainval.csv"], "trainval.csv", "trainval.csv"),
        (["train.csv", "val.csv", "test.csv"], "train.csv", "test.csv"),
        (["TrainingSet.csv", "b-validation.csv"], "TrainingSet.csv", "b-validation.csv"),
        (
            ["ava_train_v2.2.csv", "ava_val_v2.2.csv", "ava_train_excluded_timestamps_v2.2.csv",
             "ava_val_excluded_timestamps_v2.2.csv", "ava_test_excluded_timestamps_v2.2.csv"],
            "ava_train_v2.2.csv",
            "ava_val_v2.2.csv",
        ),
        (["notes.csv", "annotations/train.csv", "annotations/valid.csv"],
         "annotations/train.csv", "annotations/valid.csv"),
        ([], "", ""),
    ],
)  # fmt: skip
def test_files_are_chosen_by_the_words_in_their_names(
    tmp_path: Path, names: list[str], train: str, test: str
) -> None:
    for name in names:
        write(tmp_path / name, "")
    patterns = ["*.csv", "annotations/*.csv"]
    for part, expected in (("train", train), ("test", test)):
        found = [
            str(path.relative_to(tmp_path)) for path in files_of_part(tmp_path, patterns, part)
        ]
        assert found == [expected][: len(expected)]


def test_files_that_list_their_parts_are_not_chosen_by_name(tmp_path: Path) -> None:
    write(tmp_path / "train-GT.pkl", "")
    assert files_of_part(tmp_path, ["*-GT.pkl"], None) == [tmp_path / "train-GT.pkl"]
