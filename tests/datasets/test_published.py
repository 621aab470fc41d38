from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from edgekit.classes import CLASS_LISTS
from edgekit.datasets._faults import collected_faults
from edgekit.datasets._plain_pickle import loads_plain
from edgekit.datasets.layouts import WITHOUT_SPLITS
from edgekit.datasets.published import read_truth
from edgekit.errors import AnnotationError, UsageError


def published(root: Path, content: Any, names: str = "Biking/v_1\n", protocol: int = 2) -> Path:
    folder = root / "splitfiles"
    folder.mkdir(exist_ok=True)
    for file in ("pyannot.pkl", "hmdb_annots.pkl"):
        (folder / file).write_bytes(pickle.dumps(content, protocol))
    (folder / "testlist01.txt").write_text(names)
    (folder / "trainlist01.txt").write_text("Biking/v_2\n")
    return root


def entry(**changes: Any) -> dict[str, Any]:
    boxes = np.array([[200, 100, 100, 80], [201, 100, 119, 80]], np.uint8)
    tube = {"label": 2, "sf": np.int64(3), "ef": 5, "boxes": boxes, **changes}
    return {"annotations": [tube], "numf": 6, "label": 2}


def as_mat(content: dict[str, Any]) -> bytes:
    """The same content as a MATLAB file, in which frames and classes count from 1."""
    videos = np.zeros((1, len(content)), [("num_imgs", "O"), ("name", "O"), ("tubes", "O")])
    for place, (name, video) in enumerate(content.items()):
        fields = [(field, "O") for field in ("ef", "sf", "class", "boxes")]
        tubes = np.zeros((1, len(video["annotations"])), fields)
        for number, tube in enumerate(video["annotations"]):
            tubes[0, number] = (tube["ef"], tube["sf"] + 1, tube["label"] + 1, tube["boxes"])
        videos[0, place] = (video["numf"], name, tubes)
    written = io.BytesIO()
    scipy.io.savemat(written, {"annot": videos}, do_compression=True)
    return written.getvalue()


@pytest.mark.parametrize(
    ("dataset", "file"), [("ucf24", "finalAnnots.mat"), ("jhmdb21-mat", "finalAnnots.ma.mat")]
)
def test_the_mat_is_read_as_the_pickle(tmp_path: Path, dataset: str, file: str) -> None:
    folder = published(tmp_path, {}) / "splitfiles"
    (folder / "pyannot.pkl").unlink()
    (folder / file).write_bytes(as_mat({"Biking/v_1": entry()}))
    (video,) = read_truth(dataset, tmp_path).videos
    (tube,) = video.tubes
    assert (video.frames, tube.label, tube.start, tube.end) == (6, 2, 3, 4)
    assert tube.boxes.tolist() == [[199, 99, 299, 179], [200, 99, 319, 179]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89HDF\r\n\x1a\n", "version 7.3 (HDF5), and version 5 was expected"),
        (as_mat({})[:-9], "not a readable .mat"),
        (b"text" * 99, "no MATLAB 5 file"),
    ],
)
def test_another_mat_is_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    folder = published(tmp_path, {}) / "splitfiles"
    (folder / "finalAnnots.ma.mat").write_bytes(content)
    with pytest.raises(AnnotationError) as caught:
        read_truth("jhmdb21-mat", tmp_path)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("class", "walk", "a str where one number was expected"),
        ("sf", np.zeros((0, 0)), "a ndarray where one number was expected"),
        ("ef", np.zeros((1, 1), object), "a list where one number was expected"),
        ("sf", np.inf, "infinity"),
    ],
)
def test_another_value_in_a_mat_is_a_sentence(
    tmp_path: Path, field: str, value: Any, message: str
) -> None:
    videos = np.zeros((1, 1), [("num_imgs", "O"), ("name", "O"), ("tubes", "O")])
    tubes = np.zeros((1, 1), [(name, "O") for name in ("ef", "sf", "class", "boxes")])
    tubes[0, 0] = (5, 1, 1, np.ones((5, 4)))
    tubes[field][0, 0] = value
    videos[0, 0] = (6, "Biking/v_1", tubes)
    written = io.BytesIO()
    scipy.io.savemat(written, {"annot": videos})
    folder = published(tmp_path, {}) / "splitfiles"
    (folder / "finalAnnots.ma.mat").write_bytes(written.getvalue())
    with pytest.raises(AnnotationError) as caught:
        read_truth("jhmdb21-mat", tmp_path)
    assert message in caught.value.message


def test_without_a_train_list_all_that_is_not_tested_trains(tmp_path: Path) -> None:
    content = {f"Biking/v_{number}": entry() for number in (1, 2, 3)}
    (published(tmp_path, content) / "splitfiles/trainlist01.txt").unlink()
    names = [video.name for video in read_truth("ucf24", tmp_path, part="train").videos]
    assert names == ["Biking/v_2", "Biking/v_3"]


def test_a_split_that_is_not_there_is_told_from_those_that_are(tmp_path: Path) -> None:
    published(tmp_path, {"Biking/v_1": entry()})
    with pytest.raises(AnnotationError, match=r"testlist02\.txt: No such file") as caught:
        read_truth("ucf24", tmp_path, split=2)
    assert "has testlist01.txt, trainlist01.txt." in caught.value.hint
    assert "split" in caught.value.hint
    for file in ("pyannot.pkl", "hmdb_annots.pkl"):
        (tmp_path / "splitfiles" / file).unlink()
    with pytest.raises(AnnotationError, match=r"pyannot\.pkl: No such file") as caught:
        read_truth("ucf24", tmp_path)
    assert "it holds splitfiles/" in caught.value.hint


@pytest.mark.parametrize("dataset", WITHOUT_SPLITS)
def test_a_layout_without_splits_takes_the_first_only(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(AnnotationError):
        read_truth(dataset, tmp_path)
    with pytest.raises(UsageError, match=f"Expected split=1 for the layout {dataset}.* found 2"):
        read_truth(dataset, tmp_path, split=2)


def test_of_a_list_of_101_classes_the_annotated_are_read(tmp_path: Path) -> None:
    names = [f"{name}/v_{name}_g01_c01" for name in ("Archery", "Biking", "Fencing")]
    lines = "".join(f"{name}.avi 1\n" for name in names)
    published(tmp_path, {names[1]: entry()}, lines)
    assert [video.name for video in read_truth("ucf24", tmp_path).videos] == [names[1]]
    published(tmp_path, {names[1]: entry()}, lines + "Bikng/v_Biking_g01_c02\n")
    with pytest.raises(AnnotationError, match="Bikng"):
        read_truth("ucf24", tmp_path)


@pytest.mark.parametrize(
    "place", ["rgb-images/Biking/v_1", "videos/Biking/v_1.avi", "Biking/v_1.mp4"]
)
def test_videos_are_found_where_people_have_them(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.touch() if path.suffix else path.mkdir()
    (video,) = read_truth("ucf24", published(tmp_path, {"Biking/v_1": entry()})).videos
    assert video.path == path


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dataset", ["ucf24", "jhmdb21"])
def test_the_published_layout_is_read(tmp_path: Path, dataset: str, protocol: int) -> None:
    content = {"Biking/v_1": entry(), "Biking/v_2": entry(label=0)}
    truth = read_truth(dataset, published(tmp_path, content, "Biking/v_1.avi 3\n\n", protocol))
    (video,) = truth.videos
    assert len(truth.classes) == {"ucf24": 24, "jhmdb21": 21}[dataset]
    assert (video.name, video.frames, video.width, video.height) == ("Biking/v_1", 6, 320, 240)
    assert video.path == tmp_path / "rgb-images/Biking/v_1"
    (tube,) = video.tubes
    assert (tube.label, tube.start, tube.end) == (2, 3, 4)
    assert tube.boxes.tolist() == [[199, 99, 299, 179], [200, 99, 319, 179]]


def test_a_list_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    published(tmp_path, {"Biking/v_1": entry()}, "\ufeffBiking/v_1\r\n")
    assert [video.name for video in read_truth("ucf24", tmp_path).videos] == ["Biking/v_1"]


def test_the_train_part_has_its_own_list(tmp_path: Path) -> None:
    content = {"Biking/v_1": entry(), "Biking/v_2": entry(label=0)}
    truth = read_truth("ucf24", published(tmp_path, content), part="train")
    assert [video.name for video in truth.videos] == ["Biking/v_2"]


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("attacked"),))


def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    published(tmp_path, {"Biking/v_1": Attack()})
    with pytest.raises(AnnotationError, match="not allowed here"):
        read_truth("ucf24", tmp_path)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "a list instead"),
        ({}, "'Biking/v_1': it is in the list"),
        ({"Biking/v_1": {"numf": 3, "label": 0}}, "no 'annotations'"),
        ({"Biking/v_1": entry(label=24)}, "tube 0: label 24"),
        ({"Biking/v_1": entry(ef=7)}, "from frame 3 to frame 7, but the video has 6 frames"),
        ({"Biking/v_1": entry(sf=2)}, "2 boxes for 3 frames"),
        ({"Biking/v_1": entry(boxes=np.full((2, 4), np.nan))}, "infinite or NaN"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(AnnotationError) as error:
        read_truth("ucf24", published(tmp_path, content))
    assert message in error.value.message


def test_faults_can_be_collected(tmp_path: Path) -> None:
    content = {"Biking/v_1": entry(label=24), "Biking/v_2": entry()}
    published(tmp_path, content, "Biking/v_1\nBiking/v_2\nBiking/v_3\n")
    with collected_faults() as faults:
        truth = read_truth("ucf24", tmp_path)
    assert [video.name for video in truth.videos] == ["Biking/v_2"]
    assert ["v_1" in fault.message for fault in faults] == [True, False]
    assert "'Biking/v_3': it is in the list" in faults[1].message


def test_a_video_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    published(tmp_path, {"Biking/v_1": entry()}, "Biking/v_1\nBiking/v_1\n")
    with pytest.raises(AnnotationError, match="the video 'Biking/v_1' is listed 2 times"):
        read_truth("ucf24", tmp_path)


def test_broken_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"testlist01\.txt"):
        read_truth("ucf24", tmp_path)
    published(tmp_path, {})
    (tmp_path / "splitfiles/pyannot.pkl").write_bytes(b"\x80\x02garbage")
    with pytest.raises(AnnotationError, match=r"pyannot\.pkl"):
        read_truth("ucf24", tmp_path)
    (tmp_path / "splitfiles/testlist01.txt").write_text("\n")
    with pytest.raises(AnnotationError, match="no video in the list"):
        read_truth("ucf24", tmp_path)


@pytest.mark.parametrize("dataset", ["json", "ucf24", "ava", "coco-video", "cvat"])
def test_a_folder_whose_name_is_too_long_is_an_error(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(AnnotationError, match="File name too long"):
        read_truth(dataset, tmp_path / ("long" * 100))


def test_own_annotations_come_under_the_same_name(tmp_path: Path) -> None:
    content = {
        "classes": ["run"],
        "videos": {"a.mp4": {"width": 8, "height": 8, "frames": 1, "tubes": []}},
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert read_truth("json", tmp_path).classes == ["run"]
    with pytest.raises(UsageError):
        read_truth("nothing", tmp_path)


@pytest.mark.shared
def test_the_class_names_are_those_of_the_clips(shared: Path) -> None:
    assert read_truth("json", shared / "ucf24").classes == list(CLASS_LISTS["ucf24"])


@pytest.mark.parametrize("name", ["../../outside", "/dev/video0", "pipe"])
def test_a_video_of_a_list_is_a_path_below_the_pictures(tmp_path: Path, name: str) -> None:
    (tmp_path / "rgb-images").mkdir()
    os.mkfifo(tmp_path / "rgb-images" / "pipe")
    with pytest.raises(AnnotationError) as caught:
        read_truth("ucf24", published(tmp_path, {name: entry()}, f"{name}\n"))
    assert repr(name) in caught.value.message


TUBE = entry()["annotations"][0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**entry(), "annotations": [TUBE] * 1000}, "more boxes than its size allows"),
        ({**entry(), "numf": float("inf")}, "infinity"),
        ({**entry(), "numf": 10**12}, "1000000000000 frames, expected 1 to 10000000"),
        ({**entry(), "numf": "9" * 5000}, "limit"),
        (entry(boxes=[[1, 2, 3, 4], [1, 2, 3]]), "a box does not have four numbers"),
        (entry(boxes=[[[1], 2, 3, 4]] * 2), "float"),
        (entry(boxes="boxes"), "a box does not have four numbers"),
    ],
)
def test_what_claims_too_much_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(AnnotationError) as error:
        read_truth("ucf24", published(tmp_path, {"Biking/v_1": content}))
    assert message in error.value.message
    assert len(error.value.message) < 1000


@pytest.mark.parametrize("file", ["pyannot.pkl", "testlist01.txt"])
def test_pipes_and_endless_files_are_refused(tmp_path: Path, file: str) -> None:
    path = published(tmp_path, {"Biking/v_1": entry()}) / "splitfiles" / file
    with path.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(AnnotationError, match="1099511627776 bytes, and at most"):
        read_truth("ucf24", tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(AnnotationError, match="not a regular file"):
        read_truth("ucf24", tmp_path)


@pytest.mark.shared
@pytest.mark.parametrize(
    "file", ["ucf24/splitfiles/pyannot.pkl", "jhmdb21/splitfiles/hmdb_annots.pkl"]
)
def test_the_published_annotations_are_what_pickle_reads(shared: Path, file: str) -> None:
    content = (shared / "annotations" / file).read_bytes()
    found, expected = loads_plain(content), pickle.loads(content, encoding="latin1")
    assert list(found) == list(expected)
    for name, video in expected.items():
        assert (found[name]["numf"], found[name]["label"]) == (video["numf"], video["label"])
        for one, other in zip(found[name]["annotations"], video["annotations"], strict=True):
            assert one.keys() == other.keys()
            assert all(np.array_equal(one[key], other[key]) for key in one)
