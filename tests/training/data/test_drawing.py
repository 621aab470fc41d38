from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.datasets.annotations import TruthTube, VideoTruth
from edgekit.training.data.clip_index import index_clips
from edgekit.training.data.drawing import Draws
from tests.training.data.clips import of

CLIPS = index_clips(
    [
        (0, VideoTruth("a", 3, 9, 9, label=0)),
        (0, VideoTruth("b", 50, 9, 9, label=1)),
        (1, VideoTruth("c", 7, 9, 9, label=1)),
        (0, VideoTruth("d", 5, 9, 9, label=0)),
    ]
)


@settings(max_examples=30, deadline=None)
@given(count=st.sampled_from([1, 2, 4]), accumulate=st.integers(1, 3))
def test_processes_share_the_same_batches(count: int, accumulate: int) -> None:
    values = of(accumulate=accumulate)
    whole = list(Draws(CLIPS, values))
    parts = [list(Draws(CLIPS, values, part=(number, count))) for number in range(count)]
    assert len(whole) == 3 * values.steps * accumulate
    for key, *keys in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(key.places, np.concatenate([k.places for k in keys]))
        assert [k.first for k in keys] == [key.first + n * 4 // count for n in range(count)]
        assert {k.size for k in keys} == {key.size}


@given(epoch=st.integers(0, 2), step=st.integers(0, 4))
def test_a_run_goes_on_where_it_ended(epoch: int, step: int) -> None:
    whole, rest = list(Draws(CLIPS, of())), list(Draws(CLIPS, of(), begin=(epoch, step)))
    for expected, found in itertools.zip_longest(whole[5 * epoch + step :], rest):
        assert (expected.epoch, expected.first) == (found.epoch, found.first)
        np.testing.assert_array_equal(expected.places, found.places)


def test_datasets_and_classes_are_drawn_alike() -> None:
    keys = Draws(CLIPS, of(images=4000, epochs=1))
    places = np.concatenate([key.places for key in keys])
    shares = np.bincount(places[:, 0], minlength=4) / len(places)
    # Half from each dataset; of the first, half from each class, and there by frames.
    np.testing.assert_allclose(shares, [3 / 32, 1 / 4, 1 / 2, 5 / 32], atol=0.03)
    for clip, frames in enumerate((3, 50, 7, 5)):
        assert set(places[places[:, 0] == clip, 1]) == set(range(frames))


def test_a_clip_of_two_classes_is_drawn_for_both() -> None:
    tubes = [TruthTube(label, 0, np.zeros((1, 4))) for label in (0, 1)]
    clips = index_clips(
        [(0, VideoTruth("a", 9, 9, 9, tubes)), (0, VideoTruth("b", 9, 9, 9, tubes[:1]))]
    )
    places = np.concatenate([key.places for key in Draws(clips, of(images=4000, epochs=1))])
    # All samples of class 1, and half of those of class 0.
    np.testing.assert_allclose(np.mean(places[:, 0] == 0), 3 / 4, atol=0.03)


def test_the_first_half_has_smaller_inputs() -> None:
    sizes = {key.epoch: key.size for key in Draws(CLIPS, of(epochs=4))}
    assert sizes == {0: (96, 96), 1: (96, 96), 2: (128, 128), 3: (128, 128)}
