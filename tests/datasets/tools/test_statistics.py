from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.tools.statistics import statistics_of


def test_counts_and_boxes(tmp_path: Path) -> None:
    moving = np.array([[0, 0, 10, 40], [20, 0, 30, 40]], np.float64)
    still = np.array([[0, 0, 20, 20]] * 3, np.float64)
    (tmp_path / "a").mkdir()
    a = VideoTruth(
        "a", 9, 100, 80, [TruthTube(0, 0, moving), TruthTube(0, 1, still)], path=tmp_path / "a"
    )
    b = VideoTruth("b", 5, 100, 80, [], path=tmp_path / "b")
    found = statistics_of(
        {"train": Truth(["walk", "jump"], [a]), "test": Truth(["walk", "jump"], [b])}
    )
    train, test = found.parts["train"], found.parts["test"]
    assert (train.videos, train.found, train.frames, train.annotated_frames, train.tubes) == (
        1, 1, 9, 4, 2,
    )  # fmt: skip
    assert (test.videos, test.found, test.annotated_frames) == (1, 0, 0)
    assert [(one.name, one.videos, one.tubes, one.boxes) for one in found.classes] == [
        ("walk", 1, 2, 5), ("jump", 0, 0, 0),
    ]  # fmt: skip
    assert found.most_actors == 2
    assert found.height.median == pytest.approx(20 / 80)
    assert found.aspect.high == pytest.approx(1)
    assert found.area.low == pytest.approx(400 / 8000)
    assert found.motion.high == pytest.approx(np.percentile([1, 0, 0], 95))
    assert found.to_dict()["most_actors"] == 2


def test_a_dataset_without_tubes_has_no_boxes() -> None:
    found = statistics_of({"all": Truth(["walk"], [VideoTruth("a", 3, 8, 8)])})
    assert (found.height.median, found.motion.high, found.most_actors) == (None, None, 0)


def test_a_video_in_both_parts_has_the_actions_of_both() -> None:
    still = np.array([[0, 0, 20, 20]] * 3, np.float64)
    one, other = (
        Truth(["walk"], [VideoTruth("a", 9, 100, 80, [TruthTube(0, n, still) for n in starts])])
        for starts in ((0, 3), (3, 6))
    )
    (walk,) = statistics_of({"train": one, "test": other}).classes
    assert (walk.videos, walk.tubes, walk.boxes) == (1, 3, 9)
