from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.calibration.frame_selection import Candidates, choose, spread

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any)


def features_of(lengths):
    random = np.random.default_rng(0)
    return [random.normal(size=(length, 4)) for length in lengths]


@given(LENGTHS, st.integers(1, 60), st.integers(0, 3))
def test_as_many_are_chosen_as_wanted_or_there_and_each_once(lengths, samples, seed):
    picks = choose(features_of(lengths), samples, seed)
    assert sum(map(len, picks)) == min(samples, sum(lengths))
    for chosen, length in zip(picks, lengths, strict=True):
        assert chosen == sorted(set(chosen))
        assert all(0 <= index < length for index in chosen)


@given(st.integers(2, 6), st.integers(1, 30), st.integers(0, 3))
def test_sequences_of_equal_length_give_equally_many(count, samples, seed):
    picks = choose(features_of([30] * count), samples, seed)
    assert max(map(len, picks)) - min(map(len, picks)) <= 1


def test_what_is_unlike_the_rest_is_chosen_first():
    values = np.zeros((50, 3))
    values[17] = 5
    values[33] = -5
    for seed in range(5):
        assert {17, 33} <= set(choose([values], 3, seed)[0])


def test_the_seed_decides():
    values = features_of([100])
    assert choose(values, 5, 1) == choose(values, 5, 1) != choose(values, 5, 2)


@given(LENGTHS, st.integers(1, 60))
def test_spread_takes_as_many_as_wanted_evenly(lengths, samples):
    picks = spread(lengths, samples)
    total = sum(lengths)
    starts = np.cumsum([0, *lengths])
    flat = [int(start) + i for start, pick in zip(starts, picks, strict=False) for i in pick]
    assert len(flat) == min(samples, total)
    if len(flat) > 2:
        assert np.ptp(np.diff(flat)) <= 1


@given(st.integers(1, 4), st.integers(2, 300))
def test_candidates_are_bounded_and_the_last_quarter_is_for_evaluation(limit, frames):
    seen = Candidates(limit)
    random = np.random.default_rng(frames)
    for index in range(frames):
        picture = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        seen.add(index, picture[::-1] if index else None, picture)
    chosen, features = seen.to_choose()
    evaluation = seen.for_evaluation()
    assert len(chosen) == len(features)
    assert len(chosen) + len(evaluation) < 2 * limit
    assert 0 not in chosen
    assert all(index < 0.75 * frames for index in chosen)
    assert all(index >= 0.75 * frames for index in evaluation)
    assert seen.moves
