from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.datasets.readers._tracks import TrackError, TrackFiller, linked_tubes

BOXES = st.tuples(*[st.floats(0, 100)] * 4)
KEYS = st.dictionaries(st.integers(0, 60), BOXES | st.none(), max_size=8)


def test_between_keyframes_all_sides_are_interpolated() -> None:
    (tube,) = TrackFiller(0).tubes(3, [(4, (0, 0, 10, 10)), (8, (8, 4, 18, 14))])
    assert (tube.label, tube.start, tube.end) == (3, 4, 8)
    assert tube.boxes.tolist()[1] == [2, 1, 12, 11]


def test_a_hidden_span_parts_a_track() -> None:
    keys = [(0, (0, 0, 9, 9)), (3, None), (6, (1, 1, 9, 9))]
    first, second = TrackFiller(0).tubes(0, keys, 10)
    assert (first.start, first.end) == (0, 2)
    assert first.boxes.tolist() == [[0, 0, 9, 9]] * 3
    assert (second.start, second.end) == (6, 9)


@given(KEYS, st.none() | st.integers(61, 70))
def test_keyframes_keep_their_boxes_and_tubes_do_not_touch(
    keys: dict[int, tuple[float, ...] | None], until: int | None
) -> None:
    tubes = TrackFiller(0).tubes(0, keys.items(), until)
    seen = {tube.start + n: box for tube in tubes for n, box in enumerate(tube.boxes)}
    assert len(seen) == sum(len(tube.boxes) for tube in tubes)
    for frame, box in keys.items():
        assert (frame in seen) is (box is not None)
        if box is not None:
            assert np.allclose(seen[frame], box)
    for tube in tubes:
        assert tube.boxes.min() >= 0
        assert tube.boxes.max() <= 100


@pytest.mark.parametrize("frame", [-1, 10_000_000, 10**30])
def test_frames_without_end_are_refused(frame: int) -> None:
    with pytest.raises(TrackError, match=f"frame {frame}, expected"):
        TrackFiller(0).tubes(0, [(frame, (0, 0, 1, 1))])


def test_all_tracks_share_one_bound() -> None:
    filler, far = TrackFiller(0), [(0, (0, 0, 1, 1)), (1_199_999, (0, 0, 1, 1))]
    filler.tubes(0, far)
    with pytest.raises(TrackError, match="more than 2000000 boxes"):
        filler.tubes(0, far)


def test_all_tracks_share_one_bound_on_their_tubes() -> None:
    filler = TrackFiller(0, tubes=2)
    filler.tubes(0, [(0, (0, 0, 1, 1)), (1, None), (2, (0, 0, 1, 1))])
    with pytest.raises(TrackError, match="more than 2 spans"):
        filler.tubes(0, [(0, (0, 0, 1, 1))])


@pytest.mark.parametrize("until", [10**10, 10**300])
def test_an_end_that_nothing_reaches_takes_no_memory(until: int) -> None:
    with pytest.raises(TrackError, match="more than 2000000 boxes"):
        TrackFiller(0).tubes(0, [(0, (0, 0, 1, 1))], until)


def test_boxes_without_tracks_go_on_where_they_overlap_most() -> None:
    left, right = (0, 0, 10, 10), (20, 0, 30, 10)
    frames = {
        0: [(0, left), (0, right)],
        1: [(0, (21, 0, 31, 10)), (0, (1, 0, 11, 10)), (1, left)],
        3: [(0, left)],
    }
    tubes = linked_tubes(frames)
    assert [(tube.label, tube.start, tube.end) for tube in tubes] == [
        (0, 0, 1), (0, 0, 1), (1, 1, 1), (0, 3, 3),
    ]  # fmt: skip
    assert sorted(tube.boxes[1].tolist() for tube in tubes[:2]) == [[1, 0, 11, 10], [21, 0, 31, 10]]


@given(
    st.dictionaries(st.integers(0, 8), st.lists(st.tuples(st.integers(0, 1), BOXES), max_size=4))
)
def test_no_box_is_lost_or_doubled(
    frames: dict[int, list[tuple[int, tuple[float, ...]]]],
) -> None:
    given_boxes = sorted((f, label, *box) for f, found in frames.items() for label, box in found)
    tubes = linked_tubes(frames)
    kept = sorted(
        (tube.start + n, tube.label, *box) for tube in tubes for n, box in enumerate(tube.boxes)
    )
    assert np.allclose(np.array(kept), np.array(given_boxes))


def test_a_large_file_may_not_claim_a_box_per_byte() -> None:
    filler, far = TrackFiller(1 << 28), [(0, (0, 0, 1, 1)), (8_000_000, (0, 0, 1, 1))]
    with pytest.raises(TrackError, match="more than 8000000 boxes"):
        filler.tubes(0, far)
