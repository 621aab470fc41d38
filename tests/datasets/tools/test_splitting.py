from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.datasets.annotations import Truth, TruthTube, VideoTruth
from edgekit.datasets.tools.splitting import group_pattern, recording_of, split_truth
from edgekit.errors import AnnotationError, UsageError


def video(name: str, label: int) -> VideoTruth:
    return VideoTruth(name, 3, 8, 8, [TruthTube(label, 0, np.array([[0.0, 0, 4, 4]]))])


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("Biking/v_Biking_g01_c04", "Biking/v_Biking_g01"),
        ("videos/v_Biking_g01_c04.avi", "videos/v_Biking_g01"),
        ("catch/Ball_1_catch_u_cm_np1_fr_goo_2", "catch/Ball_1_catch"),
        ("kitchen_1.mp4", "kitchen_1.mp4"),
    ],
)
def test_recordings_are_reported_by_names(name: str, recording: str) -> None:
    assert recording_of(name) == recording


def test_own_names_have_a_pattern() -> None:
    pattern = group_pattern(r"^(\w+)_\d+\.")
    assert pattern is not None
    assert recording_of("kitchen_1.mp4", pattern) == "kitchen"
    # A group that takes no part in the match does not tell the recording.
    assert recording_of("c1.mp4", re.compile(r"(g\d+)?c")) == "c1.mp4"
    assert group_pattern(None) is None
    with pytest.raises(UsageError, match="Expected group to be a regular expression"):
        group_pattern("(")


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(1, 12)), st.integers(1, 5), min_size=2
    ),
    st.floats(0.05, 0.95),
    st.integers(0, 99),
)
def test_recordings_stay_together_and_no_video_is_lost(
    recordings: dict[tuple[int, int], int], share: float, seed: int
) -> None:
    names = {
        f"v_Class{label}_g{number:02d}_c{clip:02d}": label
        for (label, number), clips in recordings.items()
        for clip in range(clips)
    }
    truth = Truth(["a", "b", "c", "d"], [video(name, label) for name, label in names.items()])
    trained, tested = split_truth(truth, share, seed=seed)
    one, other = ({each.name for each in part.videos} for part in (trained, tested))
    assert one
    assert other
    assert not one & other
    assert one | other == names.keys()
    assert not {recording_of(name) for name in one} & {recording_of(name) for name in other}
    for label in set(names.values()):
        if sum(each == label for each, _ in recordings) > 1:
            assert {names[name] for name in one} >= {label} <= {names[name] for name in other}
    again = split_truth(truth, share, seed=seed)
    assert [each.name for each in again[0].videos] == [each.name for each in trained.videos]


def test_the_share_is_reached_and_the_seed_decides() -> None:
    truth = Truth(["a"], [video(f"clip{number}.mp4", 0) for number in range(100)])
    parts = [split_truth(truth, 0.8, seed=seed)[0] for seed in (1, 2)]
    assert [len(part.videos) for part in parts] == [80, 80]
    assert {v.name for v in parts[0].videos} != {v.name for v in parts[1].videos}


def test_a_pattern_that_matches_no_name_is_refused() -> None:
    truth = Truth(["a"], [video(f"clip-{number}.mp4", 0) for number in range(4)])
    words = r"none of 4, such as 'clip-0\.mp4'"
    with pytest.raises(UsageError, match=words):
        split_truth(truth, 0.5, pattern=re.compile(r"^(.*)-\d+$"))
    with pytest.raises(AnnotationError, match="found 1 in 4 videos"):  # one recording
        split_truth(truth, 0.5, pattern=re.compile(r"^(.*)-\d+"))


def test_one_recording_cannot_be_divided() -> None:
    truth = Truth(["a"], [video(f"v_A_g01_c0{number}", 0) for number in (1, 2)])
    with pytest.raises(AnnotationError, match="at least two recordings to divide; found 1 in 2"):
        split_truth(truth, 0.5)
    assert split_truth(truth, 0.5, pattern=re.compile(".*"))
