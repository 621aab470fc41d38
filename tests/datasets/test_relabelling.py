from __future__ import annotations

import numpy as np
import pytest

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.relabelling import in_classes_of, in_one_list
from edgekit.errors import AnnotationError


def a_video(label: int = 0) -> VideoTruth:
    return VideoTruth("v", 3, 320, 240, [TruthTube(label, 0, np.ones((3, 4)))], label)


def labels(truth: Truth) -> list[int]:
    return [tube.label for video in truth.videos for tube in video.tubes]


def test_labels_are_matched_by_name() -> None:
    given = Truth(["c", "a"], [a_video(0), a_video(1)], "train")
    truth = in_classes_of(("a", "b", "c"), given)
    assert (truth.classes, truth.part) == (["a", "b", "c"], "train")
    assert labels(truth) == [2, 0]
    assert [video.label for video in truth.videos] == [2, 0]
    assert in_classes_of(("a", "b", "c"), truth) is truth


def test_classes_that_are_not_known_are_named() -> None:
    with pytest.raises(AnnotationError, match=r"the bundle does not know: flying\."):
        in_classes_of(("a", "b"), Truth(["a", "flying"], [a_video(0), a_video(1)]))
    # A class of the dataset that nobody is annotated with does no harm.
    in_classes_of(("a", "b"), Truth(["a", "flying"], [a_video(0)]))


def test_annotations_get_one_list_of_all_their_classes() -> None:
    one, other = in_one_list([Truth(["b", "a"], [a_video(1)]), Truth(["c", "a"], [a_video(0)])])
    assert one.classes == other.classes == ["b", "a", "c"]
    assert (labels(one), labels(other)) == ([1], [2])
    assert in_one_list([]) == []
