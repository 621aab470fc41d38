from __future__ import annotations

import copy
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.datasets.annotations import read_annotations, read_folder
from edgekit.errors import AnnotationError
from edgekit.files import json_arrays

GOOD: dict[str, Any] = {
    "classes": ["run", "jump"],
    "note": "fields that are not known are passed over",
    "videos": {
        "a.mp4": {
            "fps": 25.0,
            "width": 64,
            "height": 48,
            "frames": 5,
            "label": 1,
            "tubes": [
                {"label": 1, "start": 2, "end": 4, "boxes": [[0, 0, 9, 9], [-0.9, 1, 64.9, 48]]}
            ],
        },
        "b.mp4": {"width": 64, "height": 48, "frames": 1, "tubes": []},
    },
}


def write(folder: Path, content: object) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps(content))
    return path


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.write_text(f"\ufeff{path.read_text()}")
    assert [video.name for video in read_annotations(path).videos] == ["a.mp4", "b.mp4"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    truth = read_annotations(write(tmp_path, GOOD))
    assert truth.classes == ["run", "jump"]
    first, second = truth.videos
    assert (first.name, first.frames, first.width, first.height) == ("a.mp4", 5, 64, 48)
    assert first.path == tmp_path / "a.mp4"
    assert (first.label, second.label, second.tubes) == (1, None, [])
    (tube,) = first.tubes
    assert (tube.label, tube.start, tube.end) == (1, 2, 3)
    assert tube.boxes.tolist() == [[0, 0, 9, 9], [-0.9, 1, 64.9, 48]]


def test_parts_have_files_of_their_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for part, name in (("train", "a.mp4"), ("test", "b.mp4")):
        content = {**GOOD, "videos": {name: GOOD["videos"]["b.mp4"]}}
        write(tmp_path, content).rename(tmp_path / f"annotations-{part}.json")
    write(tmp_path, GOOD)
    os.utime(tmp_path / "annotations.json", (0, 0))
    for part, name in (("train", "a.mp4"), ("test", "b.mp4")):
        assert [video.name for video in read_folder(tmp_path, part=part).videos] == [name]
    assert not caplog.text
    os.utime(tmp_path / "annotations-test.json", (-9, -9))
    read_folder(tmp_path)
    assert "Run edgekit dataset split again." in caplog.text
    (tmp_path / "annotations-test.json").unlink()
    # All videos together would be those of the training too.
    with pytest.raises(AnnotationError, match=r"the part test .* found annotations-train\.json"):
        read_folder(tmp_path)
    (tmp_path / "annotations-train.json").unlink()
    assert len(read_folder(tmp_path).videos) == 2


@pytest.mark.shared
def test_the_real_annotations_are_read(shared: Path) -> None:
    truth = read_annotations(shared / "ucf24/annotations.json")
    assert len(truth.classes) == 24
    assert len(truth.videos) == 9
    assert all(video.path and video.path.is_file() for video in truth.videos)


def tube(content: dict[str, Any]) -> dict[str, Any]:
    return content["videos"]["a.mp4"]["tubes"][0]  # type: ignore[no-any-return]


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "class": (lambda c: tube(c).update(label=2), "video 'a.mp4', tube 0: label 2, expected 0 to 1"),
    "video class": (lambda c: c["videos"]["a.mp4"].update(label=-1), "video 'a.mp4': label -1"),
    "empty box": (lambda c: tube(c).update(boxes=[[5, 5, 5, 9]] * 2), "tube 0, frame 2: the box"),
    "outside": (lambda c: tube(c).update(boxes=[[0, 0, 66, 9]] * 2), "leaves its 64x48 picture"),
    "no number": (lambda c: tube(c).update(boxes=[[0, 0, "9", 9]] * 2), "Expected `float`"),
    "three corners": (lambda c: tube(c).update(boxes=[[0, 0, 9]] * 2), "length 4"),
    "backwards": (lambda c: tube(c).update(end=2), "it goes from 2 to 2"),
    "box count": (lambda c: tube(c).update(end=5), "2 boxes for 3 frames"),
    "too long": (lambda c: c["videos"]["a.mp4"].update(frames=3), "ends at 4, and the video has 3"),
    "no frames": (lambda c: c["videos"]["b.mp4"].update(frames=0), "at least 1"),
    "no width": (lambda c: c["videos"]["b.mp4"].pop("width"), "missing required field `width`"),
    "no classes": (lambda c: c.pop("classes"), "missing required field `classes`"),
    "same class twice": (lambda c: c.update(classes=["run", "run"]), "once"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, case: str) -> None:
    spoil, message = WRONG[case]
    content = copy.deepcopy(GOOD)
    spoil(content)
    path = write(tmp_path, content)
    with pytest.raises(AnnotationError) as error:
        read_annotations(path)
    assert str(path) in error.value.message
    assert message in error.value.message
    assert error.value.hint


@pytest.mark.parametrize("key", ["classes", "videos"])
def test_many_names_are_refused_before_they_take_memory(tmp_path: Path, key: str) -> None:
    names = [f"{number}" for number in range(200_001)]
    changed = names if key == "classes" else dict.fromkeys(names)
    with pytest.raises(AnnotationError, match="expected at most 200000 names"):
        read_annotations(write(tmp_path, {**GOOD, key: changed}))


def test_many_tubes_are_refused(tmp_path: Path) -> None:
    one = b'{"label":0,"start":0,"end":1,"boxes":[[0,0,1,1]]}'
    head = b'{"classes":["a"],"videos":{"v":{"frames":1,"width":8,"height":8,"tubes":['
    path = tmp_path / "annotations.json"
    path.write_bytes(head + b",".join([one] * 500_001) + b"]}}}")
    with pytest.raises(AnnotationError, match="more than 500000 tubes"):
        read_annotations(path)


def test_the_boxes_of_a_long_tube_take_memory_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An eighth of the boxes in blocks of an eighth: counting each object of more takes seconds.
    monkeypatch.setattr(json_arrays, "_BLOCK", json_arrays._BLOCK // 8)
    count = 700_000 // 8
    head = b'{"classes":["a"],"videos":{"v":{"frames":%d,"width":8,"height":8,"tubes":['
    tube = b'{"label":0,"start":0,"end":%d,"boxes":[[1,2,3,4]' + b",[0,1,2,3]" * (count - 1) + b"]}"
    path = tmp_path / "annotations.json"
    path.write_bytes(head % count + tube % count + b"]}}}")
    tracemalloc.start()
    try:
        (found,) = read_annotations(path).videos[0].tubes
        assert tracemalloc.get_traced_memory()[1] < 12 * path.stat().st_size
    finally:
        tracemalloc.stop()
    assert found.boxes[:2].tolist() == [[1, 2, 3, 4], [0, 1, 2, 3]]
    assert found.boxes[-1].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"classes": ["a"], "videos": {"v": NaN}}']
)
def test_what_is_no_annotation_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(content)
    with pytest.raises(AnnotationError):
        read_annotations(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="No such file"):
        read_annotations(tmp_path / "annotations.json")


@pytest.mark.parametrize(
    "name",
    ["../a.mp4", "/dev/video0", "/etc/passwd", "a/../../b.mp4", "", "zero", "pipe", "x" * 300],
)
def test_the_name_of_a_video_is_a_path_below_the_annotations(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    path = write(tmp_path, {**GOOD, "videos": {name: GOOD["videos"]["b.mp4"]}})
    with pytest.raises(AnnotationError) as caught:
        read_annotations(path)
    assert f"video '{name}': " in caught.value.message
    assert repr(name)[:60] in caught.value.message.partition(": ")[2]


def test_a_linked_data_set_of_links_is_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.mp4").write_bytes(b"1")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    write(root, GOOD)
    (tmp_path / "link").symlink_to(root)
    truth = read_annotations(tmp_path / "link" / "annotations.json")
    assert [video.path for video in truth.videos] == [
        tmp_path / "link" / "a.mp4",
        tmp_path / "link" / "b.mp4",
    ]
