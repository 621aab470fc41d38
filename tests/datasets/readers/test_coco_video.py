from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.datasets._faults import collected_faults
from edgekit.datasets.published import read_truth
from edgekit.errors import AnnotationError

CATEGORIES = [{"id": 805, "name": "person", "synset": "person.n.01"}, {"id": 9, "name": "dog"}]


def tao(frames: tuple[int, ...] = (1, 3, 5), **changes: Any) -> dict[str, Any]:
    """The layout of TAO: a few annotated pictures of each folder."""
    images = [
        {
            "id": 10 + n, "video_id": 4, "frame_index": n - 1, "width": 64, "height": 48,
            "file_name": f"train/LaSOT/kite/{n:05d}.jpg",
        }
        for n in frames
    ]  # fmt: skip
    box = {"category_id": 805, "track_id": 2, "area": 100, "iscrowd": 0, "segmentation": [[0, 0]]}
    return {
        "info": {}, "licenses": [], "tracks": [{"id": 2, "category_id": 805, "video_id": 4}],
        "videos": [{"id": 4, "name": "train/LaSOT/kite", "width": 64, "height": 48}],
        "images": images,
        "annotations": [
            {**box, "id": 1, "image_id": 11, "video_id": 4, "bbox": [0, 0, 10, 20]},
            {**box, "id": 2, "image_id": 13, "video_id": 4, "bbox": [4, 0, 10, 20]},
        ],
        "categories": CATEGORIES, **changes,
    }  # fmt: skip


def youtube_vis(**changes: Any) -> dict[str, Any]:
    names = [f"003234408d/{5 * n:05d}.jpg" for n in range(3)]
    return {
        "videos": [{"id": 1, "width": 64, "height": 48, "length": 3, "file_names": names}],
        "categories": CATEGORIES,
        "annotations": [
            {
                "id": 1, "video_id": 1, "category_id": 9, "iscrowd": 0,
                "bboxes": [[1, 2, 3, 4], None, [5, 6, 3, 4]], **changes,
            }
        ],
    }  # fmt: skip


BOX = {"category_id": 805, "track_id": 2, "image_id": 11}
TWICE = [{**BOX, "bbox": [x, 0, 10, 20]} for x in (0, 9)]
WITHOUT_INDEX = [{**image, "frame_index": None} for image in tao()["images"]]


def write(root: Path, content: Any) -> Path:
    (root / "annotations").mkdir()
    (root / "annotations/train.json").write_text(json.dumps(content))
    return root


def test_boxes_between_annotated_pictures_are_interpolated(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    path = clip(write(tmp_path, tao()) / "frames/train/LaSOT/kite", 6)
    truth = read_truth("coco-video", tmp_path, part="train")
    (video,) = truth.videos
    assert truth.classes == ["dog", "person"]
    assert (video.frames, video.width, video.height, video.path) == (6, 64, 48, path)
    (tube,) = video.tubes
    assert (tube.label, tube.start, tube.end) == (1, 0, 2)  # not seen in the third
    assert tube.boxes.tolist() == [[0, 0, 10, 20], [2, 0, 12, 20], [4, 0, 14, 20]]


def test_the_pictures_need_not_be_there(tmp_path: Path) -> None:
    (video,) = read_truth("coco-video", write(tmp_path, tao()), part="train").videos
    assert (video.name, video.frames) == ("train/LaSOT/kite", 5)
    assert (video.tubes[0].start, video.tubes[0].end) == (0, 2)


def test_tracks_with_a_list_of_boxes_are_read(tmp_path: Path) -> None:
    (video,) = read_truth("coco-video", write(tmp_path, youtube_vis()), part="train").videos
    assert (video.name, video.frames) == ("003234408d", 3)
    first, second = video.tubes
    assert (first.label, first.start, first.boxes.tolist()) == (0, 0, [[1, 2, 4, 6]])
    assert (second.start, second.boxes.tolist()) == (2, [[5, 6, 8, 10]])


def test_many_boxes_without_tracks_are_joined(tmp_path: Path) -> None:
    content = tao(tuple(range(1, 3001)))
    one = {"category_id": 805, "bbox": [0, 0, 10, 20]}
    content["annotations"] = [{**one, "image_id": 10 + n} for n in range(1, 3001)] * 3
    (video,) = read_truth("coco-video", write(tmp_path, content), part="train").videos
    assert [(tube.start, tube.end) for tube in video.tubes] == [(0, 2999)] * 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images": [], "annotations": [], "categories": []}, "missing required field `videos`"),
        (tao(categories=[]), "category 805 is not among the categories"),
        (youtube_vis(bboxes=[None]), "1 boxes of a track for 3 pictures"),
        (tao(videos=[{"id": 4, "name": "a"}], images=[], annotations=[]), "1 frames of 0x0"),
        (tao(videos=[]), "videos that it does not list: 2, such as that of image_id 11"),
        (tao(images=tao((1, 5))["images"]), "does not list: 1, such as that of image_id 13"),
        (tao(videos=tao()["videos"] * 2), "2 of its videos have the id 4"),
        (tao(images=tao()["images"] * 2), "2 of its images have the id 11"),
        (tao(categories=CATEGORIES * 2), "2 of its categories have the id 9"),
        (tao(categories=[*CATEGORIES, {"id": 7, "name": "dog"}]), "the class 'dog' is listed 2"),
        (tao(annotations=TWICE), "track 2 has several boxes in frame 0"),
        (tao(images=WITHOUT_INDEX), "not each of them has a frame_index of its own"),
        (
            {**youtube_vis(), "videos": [{"id": 1, "name": "../a", "length": 3}]},
            "not a path inside",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_truth("coco-video", write(tmp_path, content), part="train")
    assert message in caught.value.message


def test_more_pictures_than_are_read_are_refused(tmp_path: Path) -> None:
    videos = [{"id": 1, "file_names": [""] * 1_000_001}]
    with pytest.raises(AnnotationError, match="it names more than 1000000 pictures"):
        read_truth("coco-video", write(tmp_path, {**tao(), "videos": videos}), part="train")


@pytest.mark.parametrize("value", ['"ab"', "{}", "[]", '"' + "e" * 5_000_000 + "é" + '"'])
def test_values_that_take_much_more_memory_than_their_text_are_refused(
    tmp_path: Path, value: str
) -> None:
    many = ",".join([value] * max(24_000_000 // len(value.encode()), 16))
    write(tmp_path, {}).joinpath("annotations/train.json").write_text('{"videos": [' + many + "]}")
    with pytest.raises(AnnotationError, match="more values than fit into 256 MiB") as caught:
        read_truth("coco-video", tmp_path, part="train")
    assert "such as masks" in caught.value.hint


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, tao()) / "annotations/train.json"
    path.write_text(f"\ufeff{path.read_text()}")
    assert len(read_truth("coco-video", tmp_path, part="train").videos) == 1


def test_pictures_without_an_index_are_found_by_their_names(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    clip(write(tmp_path, tao(images=WITHOUT_INDEX)) / "frames/train/LaSOT/kite", 6)
    (video,) = read_truth("coco-video", tmp_path, part="train").videos
    assert [(tube.start, tube.end) for tube in video.tubes] == [(0, 2)]


def test_hidden_files_are_no_pictures(tmp_path: Path, clip: Callable[..., Path]) -> None:
    path = clip(write(tmp_path, tao()) / "frames/train/LaSOT/kite", 6)
    (path / "._00001.jpg").write_bytes(b"\0\5\26\7Mac OS X")
    assert read_truth("coco-video", tmp_path, part="train").videos[0].frames == 6


def test_a_picture_that_is_missing_among_others_is_named(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    path = clip(write(tmp_path, tao()) / "frames/train/LaSOT/kite", 6)
    (path / "00003.jpg").unlink()
    with pytest.raises(AnnotationError, match="missing: 1 of 3, such as '00003"):
        read_truth("coco-video", tmp_path, part="train")


def test_crowds_and_masks_without_a_box_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    crowd = {**BOX, "track_id": 3, "iscrowd": 1, "bbox": [0, 0, 64, 48]}
    mask = {**BOX, "track_id": 4, "segmentation": [[0, 0, 9, 0, 9, 9]]}
    write(tmp_path, tao(annotations=[*tao()["annotations"], crowd, mask]))
    for part in ("train", "train"):
        (video,) = read_truth("coco-video", tmp_path, part=part).videos
        assert len(video.tubes) == 1
    (line,) = [record.message for record in caplog.records]
    assert "boxes of crowds (iscrowd): 1, and annotations without a box: 1." in line
    with collected_faults() as faults:
        read_truth("coco-video", tmp_path, part="train")
    assert [fault.message in line for fault in faults] == [True]


def test_tracks_of_masks_only_are_without_a_box(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, youtube_vis(bboxes=None, segmentations=[[[0, 0, 9, 0, 9, 9]], None, None]))
    (video,) = read_truth("coco-video", tmp_path, part="train").videos
    assert video.tubes == []
    assert "annotations without a box: 1." in caplog.text
