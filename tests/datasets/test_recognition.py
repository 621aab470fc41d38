from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from edgekit.datasets.published import read_truth
from edgekit.datasets.recognition import advice_on_place, layouts_in
from edgekit.datasets.tools.loading import DatasetChoice, layout_of
from edgekit.errors import AnnotationError

OWN = {"classes": ["walk"], "videos": {}}
COCO: dict[str, Any] = {"videos": [], "images": [], "annotations": [], "categories": []}
ITEMS: dict[str, Any] = {"categories": {"label": {"labels": []}}, "items": []}
TASKS = [{"annotations": [{"result": [{"type": "videorectangle"}]}]}]

FILES = {
    "json": ("annotations.json", json.dumps(OWN)),
    "json, divided": ("annotations-train.json", json.dumps(OWN)),
    "ucf24": ("splitfiles/pyannot.pkl", ""),
    "ucf24, mat": ("splitfiles/finalAnnots.mat", ""),
    "jhmdb21": ("splitfiles/hmdb_annots.pkl", ""),
    "jhmdb21-mat": ("splitfiles/finalAnnots.ma.mat", ""),
    "moc": ("UCF101v2-GT.pkl", ""),
    "moc, MultiSports": ("annotations/multisports_GT.pkl", ""),
    "ava": ("ava_val_v2.2.csv", "a,0902,0.077,0.151,0.283,0.811,80,1\n"),
    "coco-video": ("annotations/train.json", json.dumps(COCO)),
    "cvat": ("annotations.xml", '<?xml version="1.0"?>\n<annotations><version>1.1</version>'),
    "cvat, folder": ("one/annotations.xml", "<annotations>"),
    "label-studio": ("project-1.json", json.dumps(TASKS)),
    "datumaro": ("annotations/default.json", json.dumps(ITEMS)),
}


def write(root: Path, name: str, text: str) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    return root


@pytest.mark.parametrize("case", FILES)
def test_a_layout_is_known_by_its_files(tmp_path: Path, case: str) -> None:
    assert layouts_in(write(tmp_path, *FILES[case])) == [case.split(",")[0]]


@pytest.mark.parametrize("case", [case for case, (_, text) in FILES.items() if text])
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path, case: str) -> None:
    name, text = FILES[case]
    assert layouts_in(write(tmp_path, name, f"\ufeff{text}")) == [case.split(",")[0]]


def test_yowo_is_known_by_its_labels(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    assert layouts_in(write(tmp_path, "testlist.txt", "")) == ["yowo"]


@pytest.mark.parametrize(
    "file", [("a.json", "[1"), ("a.json", "{}"), ("a.csv", "x,y"), ("a.xml", "<a>"), ("a.txt", "")]
)
def test_other_files_are_no_layout(tmp_path: Path, file: tuple[str, str]) -> None:
    assert layouts_in(write(tmp_path, *file)) == []
    assert layouts_in(tmp_path / "nothere") == []


def test_the_layout_that_is_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "UCF101v2-GT.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(AnnotationError) as caught:
        read_truth("cvat", tmp_path)
    assert f"The layout cvat was expected; {tmp_path} has the layout moc." in caught.value.message
    assert f"edgekit dataset convert {tmp_path} --from moc -o FOLDER" in caught.value.hint
    with pytest.raises(AnnotationError) as caught:
        read_truth("moc", tmp_path)
    assert "was expected" not in caught.value.message


def test_a_damaged_file_of_a_known_name_is_read_for_its_fault(tmp_path: Path) -> None:
    assert layouts_in(write(tmp_path / "a", "annotations.json", "{")) == ["json"]
    assert layouts_in(write(tmp_path / "b", "labels/walk/v/00001.txt", "")) == ["yowo"]


def test_a_dataset_near_a_wrong_path_is_named(tmp_path: Path) -> None:
    gym = write(tmp_path / "data/gym", "annotations.json", json.dumps(OWN)).absolute()
    named = f"{gym} has the layout json. Name that folder."
    (gym / "videos").mkdir()
    for wrong in (gym.parent, gym / "videos", gym / "annotations.json"):
        assert advice_on_place(wrong) == named
        with pytest.raises(AnnotationError) as caught:
            layout_of(DatasetChoice(wrong))
        assert caught.value.hint == named
        with pytest.raises(AnnotationError) as caught:
            read_truth("json", wrong)
        assert caught.value.hint.endswith(named)
    with pytest.raises(AnnotationError, match="is no folder") as caught:
        layout_of(DatasetChoice(gym / "nothere"))
    assert caught.value.hint == "Check the path."


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    write(tmp_path, "annotations.json", json.dumps(OWN))
    job = write(tmp_path / "job", "job_1.zip", "")
    assert advice_on_place(job) == f"Unpack {job / 'job_1.zip'}."
    with pytest.raises(AnnotationError, match=r"job_1\.zip is no folder") as caught:
        layout_of(DatasetChoice(job / "job_1.zip"))
    assert caught.value.hint == f"Unpack {job / 'job_1.zip'}."


def test_another_file_is_no_folder(tmp_path: Path) -> None:
    clip = write(tmp_path / "clips", "clip.mp4", "") / "clip.mp4"
    with pytest.raises(AnnotationError, match=r"clip\.mp4 is no folder") as caught:
        layout_of(DatasetChoice(clip))
    assert caught.value.hint == "Name the folder that holds the annotations and the videos."
