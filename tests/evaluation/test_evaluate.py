"""``edgekit.evaluate``: the command's work, called from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit._progress import Progress
from edgekit.assets import default_bundle
from edgekit.errors import AnnotationError, BundleError, UsageError
from edgekit.synthetic.dataset import write_dataset
from edgekit.targets.base import SessionOptions

ONE = SessionOptions(threads=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "clips"
    write_dataset(folder, (1, 2), frames=12)
    return folder


class _Phases(Progress):
    def __init__(self) -> None:
        self.seen: list[object] = []

    def phase(self, note: str, total: int | None = None) -> None:
        self.seen.append((note, total))

    def advance(self) -> None:
        self.seen.append("step")


def test_a_bundle_and_what_it_detected(root: Path, tmp_path: Path) -> None:
    progress, saved = _Phases(), tmp_path / "detections.json.gz"
    bundle = edgekit.load_bundle(default_bundle())
    result = edgekit.evaluate(
        bundle, root=str(root), session=ONE, save_detections=saved, progress=progress
    )
    assert progress.seen == [("Detecting", 2), "step", "step"]
    assert 0 < result.frame_map <= 1
    assert result.link == "edgekit"
    again = edgekit.evaluate(detections=saved)
    assert again.frame_map == result.frame_map
    assert again.video_map == result.video_map
    published = edgekit.evaluate(detections=saved, protocol="published", min_hits=1)
    assert (published.link, published.protocol) == ("road", "published")


def test_two_processes_give_the_same(root: Path) -> None:
    found = [edgekit.evaluate(default_bundle(), root=root, session=ONE, workers=n) for n in (1, 2)]
    assert found[0].frame_map == found[1].frame_map


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "neither root nor detections was given"),
        (
            {"root": "clips", "detections": "d.json"},
            "detections cannot be used together with a bundle or a dataset",
        ),
        ({"bundle": 3, "root": "clips"}, "Expected bundle to be a path; found 3, of type int."),
        ({"root": 3}, "Expected root to be a path; found 3"),
        ({"root": "clips", "dataset": "csv"}, "Expected dataset to be one of json"),
        ({"root": "clips", "link": "mine"}, "Expected link to be one of edgekit, road"),
        ({"root": "clips", "cost": "low"}, "Expected cost to be one of score"),
        ({"root": "clips", "protocol": "x"}, "Expected protocol to be one of edgekit, published"),
        ({"root": "clips", "split": 4}, "Expected split to be at least 1 and at most 3; found 4."),
        ({"root": "clips", "top_k": 1.5}, "Expected top_k to be int or None; found 1.5"),
        ({"root": "clips", "workers": 0}, "Expected workers to be at least 1; found 0."),
        ({"root": "clips", "session": {"threads": 1}}, "Expected session to be SessionOptions"),
    ],
)
def test_wrong_values(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        edgekit.evaluate(**values)
    assert words in caught.value.message


def test_inputs_that_are_not_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        edgekit.evaluate(tmp_path / "none", root=root)
    with pytest.raises(AnnotationError):
        edgekit.evaluate(default_bundle(), root=tmp_path)
    with pytest.raises(AnnotationError):
        edgekit.evaluate(detections=tmp_path / "none.json")
