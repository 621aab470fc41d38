from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.datasets.published import read_truth
from edgekit.errors import AnnotationError


def box(x: float, track: int | None = 0, **changes: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {"occluded": False, "outside": False, "keyframe": True}
    if track is not None:
        attributes["track_id"] = track
    return {
        "id": 0, "type": "bbox", "attributes": attributes, "group": 0, "label_id": 1, "z_order": 0,
        "bbox": [x, 10, 20, 30], **changes,
    }  # fmt: skip


def item(frame: int, *boxes: dict[str, Any], folder: str = "", **changes: Any) -> dict[str, Any]:
    name = f"{folder}frame_{frame:06d}"
    return {
        "id": name, "annotations": list(boxes), "attr": {"frame": frame},
        "image": {"path": f"{name}.PNG", "size": [48, 64]}, **changes,
    }  # fmt: skip


def write(root: Path, *items: dict[str, Any], name: str = "default") -> Path:
    """An export as CVAT and Datumaro write it."""
    labels = [{"name": each, "parent": "", "attributes": []} for each in ("walk", "jump")]
    content = {
        "info": {}, "categories": {"label": {"labels": labels, "attributes": ["occluded"]}},
        "items": items,
    }  # fmt: skip
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"{name}.json").write_text(json.dumps(content))
    return root


def test_tracks_of_a_video_are_read(tmp_path: Path, clip: Callable[..., Path]) -> None:
    hidden = box(9, attributes={"track_id": 0, "outside": True})
    items = item(0, box(4)), item(4, box(8), box(40, None)), item(6, hidden), item(9)
    path = clip(write(tmp_path, *items) / "images/default", 10)
    truth = read_truth("datumaro", tmp_path)
    (video,) = truth.videos
    assert truth.classes == ["walk", "jump"]
    assert (video.name, video.frames, video.width, video.height) == ("default", 10, 64, 48)
    assert video.path == path
    loose, tube = video.tubes
    assert (loose.start, loose.boxes.tolist()) == (4, [[40, 10, 60, 40]])
    assert (tube.label, tube.start, tube.end) == (1, 0, 5)
    assert tube.boxes.tolist()[1] == [5, 10, 25, 40]


def test_a_turned_box_becomes_the_box_around_it(tmp_path: Path) -> None:
    write(tmp_path, item(0, box(10, attributes={"track_id": 0, "rotation": 90.0})))
    (tube,) = read_truth("datumaro", tmp_path).videos[0].tubes
    assert tube.boxes[0] == pytest.approx([5, 15, 35, 35])


def test_pictures_without_a_frame_are_found_by_their_names(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    """Every third picture of the folder was annotated."""
    found = [{**item(0, box(n)), "id": f"v/{n:05d}", "attr": {}} for n in (1, 4, 7)]
    path = clip(write(tmp_path, *found) / "images/v", 10)
    (video,) = read_truth("datumaro", tmp_path).videos
    assert (video.frames, [(tube.start, tube.end) for tube in video.tubes]) == (10, [(0, 6)])
    (path / "00004.jpg").unlink()
    with pytest.raises(AnnotationError, match="missing: 1 of 3, such as '00004'"):
        read_truth("datumaro", tmp_path)


def test_shapes_that_are_no_boxes_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = [box(1, type=name, bbox=None) for name in ("polygon", "mask", "label", "mask")]
    write(tmp_path, item(0, box(4), *others))
    assert len(read_truth("datumaro", tmp_path).videos[0].tubes) == 1
    assert "annotations that are no boxes (mask, polygon): 3." in caplog.text


def test_folders_are_videos_and_files_are_parts(tmp_path: Path) -> None:
    write(tmp_path, item(0, folder="a/"), item(0, folder="b/"), name="train")
    write(tmp_path, item(0, folder="c/"), name="test")
    names = {part: read_truth("datumaro", tmp_path, part=part).videos for part in ("train", "test")}
    assert [video.name for video in names["train"]] == ["a", "b"]
    assert [video.name for video in names["test"]] == ["c"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (item(0, box(1, label_id=2)), "video 'default': label 2, expected 0 to 1"),
        (item(0, attr={"frame": -1}), "frame -1 of item 'frame_000000'"),
        (item(0, image=None), "1 frames of 0x0"),
        (item(0, folder="../"), "not a path inside"),
        (item(0, box(1), box(9)), "a track has several boxes in frame 0"),
        (item(0, *[box(1, attributes={})] * 257), "frame 0 has 257 boxes without a track"),
        (item(0, folder="9" * 5000 + "/"), "cannot be resolved inside"),
        (item(0, box(1, bbox=[1, 2, 3])), "expected categories and items"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, found: dict[str, Any], message: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_truth("datumaro", write(tmp_path, found))
    assert message in caught.value.message
