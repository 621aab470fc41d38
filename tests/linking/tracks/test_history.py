"""Tests what a track remembers, and that this does not depend on the room in the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.linking.tracker import OnlineLinker
from edgekit.linking.tracks import history
from edgekit.runtime.types import Detections, Tube

SPOTS = np.array([[50.0 * n, 10, 50 * n + 40, 90] for n in range(4)])


def ended(
    room: int, video: list[tuple[set[int], int]], *, rate: float, still: bool, limit: int | None
) -> list[Tube]:
    """The tubes of actors that stand in their spots, each seen in some of the processed frames.

    Args:
        room: Rows of the smallest table.
        video: For each processed frame the spots in which an actor is seen, and the number of
            frames that are not processed after it.
        rate: Frames per second.
        still: Whether nothing moves in the frames that are not processed.
        limit: Number of frames to remember.
    """
    frame, closed = 0, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_SMALLEST", room)
        linker = OnlineLinker(2, min_length=0, history=limit)
        for seen, lost in video:
            boxes = SPOTS[sorted(seen)]
            found = Detections(boxes, np.full((len(boxes), 2), [0.8, 0.0]))
            closed += linker.update(found, frame / rate).closed
            closed += linker.hold(lost) if still else linker.skip(lost)
            frame += 1 + lost
        return closed + linker.finish()


videos = st.lists(
    st.tuples(
        st.one_of(st.just({0}), st.just({0, 1, 2}), st.sets(st.integers(0, 3))),
        st.sampled_from([0, 0, 0, 1, 7, 30]),
    ),
    min_size=1,
    max_size=50,
)
rates = st.sampled_from([25.0, 8.0, 64.0, 256.0])  # the sums of their steps are exact


@given(videos, rates, st.booleans(), st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_what_is_remembered_does_not_depend_on_the_room_in_the_table(video, rate, still, limit):
    small, large = (
        ended(room, video, rate=rate, still=still, limit=limit) for room in (1, 1 << 16)
    )
    for tube, other in zip(small, large, strict=True):
        for name in ("id", "track", "label", "score", "start", "end"):
            assert getattr(tube, name) == getattr(other, name)
        np.testing.assert_array_equal(tube.boxes, other.boxes)
        np.testing.assert_array_equal(tube.observed, other.observed)


@given(videos, rates, st.booleans(), st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_a_tube_goes_back_as_far_as_is_remembered_from_its_last_detection(
    video, rate, still, limit
):
    def looks(tube):
        return (np.flatnonzero(tube.observed) + tube.start).tolist()

    frames = np.cumsum([0] + [1 + lost for _, lost in video])[:-1]
    # While nothing moves no time passes; a step that is nearly one of 25 per second counts as one.
    steps = np.array([1] + [1 if still else 1 + lost for _, lost in video])[:-1]
    times = dict(zip(frames.tolist(), np.cumsum(steps * 25 / rate), strict=True))
    whole = ended(1 << 16, video, rate=rate, still=still, limit=None)
    part = ended(1 << 16, video, rate=rate, still=still, limit=limit)
    assert {tube.track for tube in part} == {tube.track for tube in whole}
    for track in {tube.track for tube in whole}:
        before = [frame for tube in whole if tube.track == track for frame in looks(tube)]
        last = max(before)
        recent = {n for n in before if last - n < limit and times[last] - times[n] < limit}
        assert {n for tube in part if tube.track == track for n in looks(tube)} == recent


@pytest.mark.parametrize("others", [0, 3])
def test_a_tube_of_few_processed_frames_is_limited_in_frames_too(others):
    """At most 100 frames back from the last detection, and those that its first one stands for."""
    video = [(set(range(1 + others)), 9)] * 300
    tubes = ended(256, video, rate=250.0, still=False, limit=100)
    assert [(tube.start, tube.end) for tube in tubes if tube.track == 0] == [(2896, 2999)]


@pytest.mark.parametrize(("frames", "limit", "start"), [(1, 1, 0), (3, 3, 0), (4, 3, 1), (9, 2, 7)])
def test_a_tube_of_each_frame_is_whole_up_to_the_limit(frames, limit, start):
    (tube,) = ended(256, [({0}, 0)] * frames, rate=25.0, still=False, limit=limit)
    assert (tube.start, tube.end) == (start, frames - 1)


@pytest.mark.parametrize(("rate", "frames"), [(5.0, 10), (25.0, 50), (500.0, 50)])
def test_a_stream_without_end_needs_a_table_for_what_is_remembered_only(rate, frames):
    linker, sizes = OnlineLinker(2, history=50), []
    found = Detections(SPOTS, np.full((len(SPOTS), 2), [0.8, 0.0]))
    for frame in range(1500):
        linker.update(found, frame / rate)
        sizes.append(len(linker._history.table.id))
    # Four rows for each of the frames; the table has room for twice as many, or for 256.
    assert max(sizes) <= max(256, 2 * (4 * frames + 2 * 4))
