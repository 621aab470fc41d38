from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth, read_annotations
from edgekit.datasets.tools.conversion import clipped, write_datasets
from edgekit.errors import AnnotationError, OutputError

BOX = np.array([[1.0, 2, 30, 40]] * 3)


def truth(*paths: Path, name: str = "walk/{}") -> Truth:
    return Truth(
        ["walk"],
        [
            VideoTruth(name.format(path.stem), 30, 64, 48, [TruthTube(0, 4, BOX)], 0, path)
            for path in paths
        ],
    )


def test_videos_elsewhere_are_linked(tmp_path: Path, clip: Callable[..., Path]) -> None:
    paths = clip(tmp_path / "given/a.mp4"), clip(tmp_path / "given/b")
    written = write_datasets(tmp_path / "new", {"annotations.json": truth(*paths)})
    found = read_annotations(written.files["annotations.json"])
    assert [video.name for video in found.videos] == ["walk/a.mp4", "walk/b"]
    for video, path in zip(found.videos, paths, strict=True):
        assert video.path is not None
        assert video.path.samefile(path)
        assert video.label == 0
        (tube,) = video.tubes
        assert (tube.label, tube.start, tube.boxes.tolist()) == (0, 4, BOX.tolist())
    again = write_datasets(tmp_path / "new", {"annotations.json": truth(*paths)}, force=True)
    assert again == written


def test_videos_below_are_named_by_their_path(tmp_path: Path, clip: Callable[..., Path]) -> None:
    path = clip(tmp_path / "rgb-images/walk/a")
    written = write_datasets(tmp_path, {"annotations.json": truth(path)})
    (video,) = read_annotations(written.files["annotations.json"]).videos
    assert (video.name, video.path) == ("rgb-images/walk/a", path)
    assert not any(one.is_symlink() for one in tmp_path.rglob("*"))


def test_each_part_keeps_its_own_annotations_of_a_video(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    path = clip(tmp_path / "given/a")
    train = truth(path)
    later = replace(train.videos[0], tubes=[TruthTube(0, 20, BOX)])
    parts = {"train.json": train, "test.json": Truth(["walk"], [later])}
    written = write_datasets(tmp_path / "new", parts)
    found = [read_annotations(file).videos[0] for file in written.files.values()]
    assert [[tube.start for tube in video.tubes] for video in found] == [[4], [20]]


def test_two_videos_of_one_name_in_two_parts_are_refused(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    paths = clip(tmp_path / "train/a"), clip(tmp_path / "test/a")
    parts = {f"{path.parent.name}.json": truth(path) for path in paths}
    with pytest.raises(AnnotationError, match="Several videos would have the name 'walk/a'"):
        write_datasets(tmp_path / "new", parts)


def test_what_is_missing_is_counted(tmp_path: Path) -> None:
    written = write_datasets(tmp_path / "new", {"annotations.json": truth(tmp_path / "gone")})
    assert (written.missing, written.videos) == (1, {"annotations.json": 1})
    assert not any(one.is_symlink() for one in tmp_path.rglob("*"))


def test_nothing_is_replaced(tmp_path: Path, clip: Callable[..., Path]) -> None:
    path = clip(tmp_path / "given/a")
    (tmp_path / "new/walk").mkdir(parents=True)
    (tmp_path / "new/walk/a").write_text("mine")
    with pytest.raises(OutputError, match=r"Cannot write .*walk/a"):
        write_datasets(tmp_path / "new", {"annotations.json": truth(path)})
    assert not (tmp_path / "new/annotations.json").exists()
    (tmp_path / "new/annotations.json").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        write_datasets(tmp_path / "new", {"annotations.json": truth(path)})
    assert (tmp_path / "new/annotations.json").read_text() == "mine"


def test_what_takes_the_name_of_the_annotations_while_videos_are_linked_stays(
    tmp_path: Path, clip: Callable[..., Path]
) -> None:
    path = clip(tmp_path / "given/a.mp4").rename(tmp_path / "given/annotations.json")
    with pytest.raises(OutputError, match="already exists"):
        write_datasets(tmp_path / "new", {"annotations.json": truth(path, name="annotations.json")})
    assert [each.name for each in (tmp_path / "new").iterdir()] == ["annotations.json"]
    assert (tmp_path / "new/annotations.json").samefile(path)


def test_two_videos_of_one_name_are_refused(tmp_path: Path, clip: Callable[..., Path]) -> None:
    one = truth(clip(tmp_path / "a/x.mp4"), name="x")
    other = truth(clip(tmp_path / "b/x.mp4"), name="x.mp4")
    with pytest.raises(AnnotationError, match=r"the name 'x\.mp4'"):
        write_datasets(tmp_path / "new", {"one": one, "other": other})


def test_nothing_is_written_outside(tmp_path: Path, clip: Callable[..., Path]) -> None:
    given_path = clip(tmp_path / "given/a")
    with pytest.raises(AnnotationError, match="not a path inside"):
        write_datasets(tmp_path / "new", {"one": truth(given_path, name="../{}")})
    inner = truth(given_path, name="a"), truth(given_path, name="a/b")
    with pytest.raises(AnnotationError, match="in the folder of another video"):
        write_datasets(tmp_path / "new", dict(zip(("one", "other"), inner, strict=True)))
    assert not (given_path / "b").is_symlink()
    assert not list((tmp_path / "new").glob("o*"))


def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.datasets.tools.conversion.MOST_BYTES", 100)
    with pytest.raises(AnnotationError, match="and EdgeKit reads at most 100"):
        write_datasets(tmp_path / "new", {"one": truth(tmp_path / "a")})
    bare = replace(truth(tmp_path / "a").videos[0], tubes=[], label=None)
    with pytest.raises(AnnotationError, match="would have no class"):
        write_datasets(tmp_path / "new", {"one": Truth([], [bare])})
    assert not (tmp_path / "new").exists()


@given(arrays.arrays(np.float64, (6, 4), elements=st.floats(-20, 90)))
def test_boxes_are_inside_and_have_an_area(
    boxes: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    given_video = VideoTruth("a", 9, 64, 48, [TruthTube(0, 2, boxes)])
    video, _, left_out = clipped(given_video)
    assert sum(len(tube.boxes) for tube in video.tubes) == len(boxes) - left_out
    for tube in video.tubes:
        assert (tube.boxes >= 0).all()
        assert (tube.boxes <= [64, 48, 64, 48]).all()
        assert (tube.boxes[:, 2:] > tube.boxes[:, :2]).all()
        kept = boxes[tube.start - 2 : tube.end - 1]
        assert np.allclose(tube.boxes, np.clip(kept, 0, [64, 48, 64, 48]), atol=1e-3)
