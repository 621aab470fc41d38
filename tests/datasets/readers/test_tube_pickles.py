from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.datasets.published import read_truth
from edgekit.errors import AnnotationError

NAME, OTHER = "Basketball/v_Basketball_g01_c01", "Biking/v_Biking_g08_c01"


def content(**changes: Any) -> dict[str, Any]:
    """The six parts of the pickle, as ACT wrote them with Python 2."""
    rows = np.array([[3, 10, 20, 40, 50], [4, 11, 20, 41, 50], [7, 12, 20, 42, 50]], np.float32)
    return {
        "labels": ["Basketball", "BasketballDunk", "Biking"],
        "train_videos": [[OTHER]],
        "test_videos": [[NAME]],
        "nframes": {NAME: 9, OTHER: 5},
        "resolution": {NAME: (240, 320), OTHER: (240, 320)},
        "gttubes": {NAME: {0: [rows]}, OTHER: {2: []}},
        **changes,
    }


def write(root: Path, found: Any, name: str = "UCF101v2-GT.pkl", protocol: int = 2) -> Path:
    (root / name).write_bytes(pickle.dumps(found, protocol))
    return root


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", ["UCF101v2-GT.pkl", "JHMDB-GT.pkl", "multisports_GT.pkl"])
def test_tubes_are_read(tmp_path: Path, name: str, protocol: int) -> None:
    truth = read_truth("moc", write(tmp_path, content(), name, protocol))
    (video,) = truth.videos
    assert truth.classes == ["Basketball", "BasketballDunk", "Biking"]
    assert (video.name, video.frames, video.width, video.height) == (NAME, 9, 320, 240)
    first, second = video.tubes  # frames 5 and 6 are missing
    assert (first.label, first.start, first.end) == (0, 2, 3)
    assert (second.start, second.end) == (6, 6)
    assert first.boxes.tolist() == [[10, 20, 40, 50], [11, 20, 41, 50]]
    assert [one.name for one in read_truth("moc", tmp_path, part="train").videos] == [OTHER]


def test_frames_are_found(tmp_path: Path, clip: Callable[..., Path]) -> None:
    path = clip(tmp_path / "Frames" / NAME, 2)
    (video,) = read_truth("moc", write(tmp_path, content())).videos
    assert video.path == path


def endless(value: Any) -> Any:
    """A value of 80 lists that has 2 ** 40 parts as text."""
    for _ in range(40):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "list indices"),
        (content(labels=[endless("walk")]), "not all lists of text"),
        (content(test_videos=[[endless("walk")]]), "not all lists of text"),
        (content(gttubes={NAME: {0: [endless(1.0)]}}), "a list, expected an array"),
        (content(nframes={NAME: 10**5000}), "a number of 16610 bits"),
        ({"labels": []}, "no 'test_videos'"),
        (content(test_videos=[[NAME], [NAME]], nframes={}), "a table has no"),
        (content(test_videos=[]), "split 1 was expected; splits of the part test in it: 0"),
        (content(gttubes={NAME: {3: [np.ones((1, 5))]}}), "label 3, expected 0 to 2"),
        (content(gttubes={NAME: {0: [np.ones((1, 4))]}}), "expected (n, 5)"),
        (content(gttubes={NAME: {0: [np.ones((2, 5))]}}), "not in rising order"),
        (content(gttubes={NAME: {0: [np.full((1, 5), 99.0)]}}), "the video has 9 frames"),
        (content(gttubes={NAME: {0: [np.full((1, 5), np.nan)]}}), "not finite"),
        (content(resolution={NAME: (0, 320)}), "320x0"),
        (content(gttubes={NAME: {0: [np.ones((1, 5), np.int8)] * 10_000}}), "more boxes than"),
        (content(nframes={"../x": 1}, test_videos=[["../x"]]), "a table has no"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, found: Any, message: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        read_truth("moc", write(tmp_path, found))
    assert message in caught.value.message


def test_a_video_stays_below_the_folder(tmp_path: Path) -> None:
    tables = {
        key: {"../x": value}
        for key, value in (("nframes", 1), ("resolution", (9, 9)), ("gttubes", {}))
    }
    with pytest.raises(AnnotationError, match="not a path inside"):
        read_truth("moc", write(tmp_path, content(test_videos=[["../x"]], **tables)))


def test_one_pickle_is_one_dataset(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no \*-GT\.pkl"):
        read_truth("moc", tmp_path)
    write(write(tmp_path, content()), content(), "JHMDB-GT.pkl")
    with pytest.raises(AnnotationError, match=r"found 2: JHMDB-GT\.pkl, UCF101v2-GT\.pkl"):
        read_truth("moc", tmp_path)
