from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.training.data.clip_index import index_clips


@st.composite
def videos(draw: st.DrawFn) -> list[tuple[int, VideoTruth]]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        frames = draw(st.integers(1, 12))
        tubes = []
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, frames - 1))
            end = draw(st.integers(start + 1, frames))
            rng = np.random.default_rng(draw(st.integers(0, 99)))
            tubes.append(TruthTube(draw(st.integers(0, 5)), start, rng.random((end - start, 4))))
        found.append((number % 2, VideoTruth(str(number), frames, 9, 9, tubes)))
    return found


@settings(max_examples=60, deadline=None)
@given(given_videos=videos(), share=st.sampled_from([1.0, 0.5, 0.25]))
def test_each_frame_has_the_boxes_of_its_tubes(
    given_videos: list[tuple[int, VideoTruth]], share: float
) -> None:
    index = index_clips(given_videos, share)
    assert index.datasets.tolist() == [dataset for dataset, _ in given_videos]
    for clip, (_, video) in enumerate(given_videos):
        kept = int(index.start[clip + 1] - index.start[clip])
        assert kept == max(1, round(share * video.frames))
        for frame in range(kept):
            inside = [t for t in video.tubes if t.start <= frame <= t.end]
            boxes, labels = index.boxes_of(clip, frame)
            assert labels.tolist() == [tube.label for tube in inside]
            expected = [tube.boxes[frame - tube.start] for tube in inside]
            np.testing.assert_array_equal(boxes, np.reshape(expected, (-1, 4)))


def test_a_clip_is_drawn_for_each_of_its_classes() -> None:
    tubes = [TruthTube(label, start, np.zeros((1, 4))) for label, start in ((2, 0), (1, 2), (2, 1))]
    given_videos = [
        (0, VideoTruth("a", 4, 9, 9, tubes)),
        (0, VideoTruth("b", 4, 9, 9, tubes, 5)),
        (0, VideoTruth("c", 4, 9, 9)),
    ]
    pairs = [[0, 1], [0, 2], [1, 1], [1, 2], [1, 5], [2, -1]]
    assert index_clips(given_videos).labels.tolist() == pairs
    # The first half of the frames does not have the tube of class 1.
    rest = [pair for pair in pairs if pair[1] != 1]
    assert index_clips(given_videos, 0.5).labels.tolist() == rest
