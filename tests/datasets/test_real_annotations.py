"""The published annotation files are read whole, with the counts that are known of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.datasets.annotations import Truth
from edgekit.datasets.published import read_truth

pytestmark = pytest.mark.shared


def counts(truth: Truth) -> tuple[int, int, int]:
    """Numbers of videos, tubes and frames."""
    tubes = sum(len(video.tubes) for video in truth.videos)
    return len(truth.videos), tubes, sum(video.frames for video in truth.videos)


@pytest.fixture(params=["pyannot.pkl", "finalAnnots.mat"])
def ucf24(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> Path:
    """UCF101-24 with one of its two annotation files."""
    source = shared / "annotations/ucf24/splitfiles"
    (tmp_path / "splitfiles").mkdir()
    for name in (request.param, "testlist01.txt"):
        shutil.copy(source / name, tmp_path / "splitfiles" / name)
    return tmp_path


def test_ucf24(ucf24: Path) -> None:
    assert counts(read_truth("ucf24", ucf24)) == (910, 1315, 159_289)
    assert counts(read_truth("ucf24", ucf24, part="train")) == (2284, 3143, 395_868)


def test_the_two_files_of_ucf24_are_equal(shared: Path, tmp_path: Path) -> None:
    root = shared / "annotations/ucf24"
    (tmp_path / "splitfiles").mkdir()
    for name in ("finalAnnots.mat", "testlist01.txt"):
        (tmp_path / "splitfiles" / name).symlink_to(root / "splitfiles" / name)
    one, other = read_truth("ucf24", root), read_truth("ucf24", tmp_path)
    for first, second in zip(one.videos, other.videos, strict=True):
        assert (first.name, first.frames, first.label) == (second.name, second.frames, second.label)
        for tube, same in zip(first.tubes, second.tubes, strict=True):
            assert (tube.label, tube.start) == (same.label, same.start)
            assert np.array_equal(tube.boxes, same.boxes)


@pytest.mark.parametrize(
    ("split", "tested", "trained"),
    [
        (1, (268, 268, 9139), (660, 660, 22_713)),
        (2, (270, 270, 8957), (658, 658, 22_895)),
        (3, (265, 265, 9045), (663, 663, 22_807)),
    ],
)
def test_jhmdb21(
    shared: Path, split: int, tested: tuple[int, int, int], trained: tuple[int, int, int]
) -> None:
    root = shared / "annotations/jhmdb21"
    for part, expected in (("test", tested), ("train", trained)):
        pickled = read_truth("jhmdb21", root, split=split, part=part)
        matlab = read_truth("jhmdb21-mat", root, split=split, part=part)
        assert counts(pickled) == counts(matlab) == expected
        for one, other in zip(pickled.videos, matlab.videos, strict=True):
            assert (one.name, one.frames, one.label) == (other.name, other.frames, other.label)
            for tube, same in zip(one.tubes, other.tubes, strict=True):
                # The pickle's x, y and w are smaller by 1, so its right edge is smaller by 2.
                assert np.array_equal(same.boxes - tube.boxes, [[1, 1, 2, 1]] * len(tube.boxes))
