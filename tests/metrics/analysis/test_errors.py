from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.metrics.analysis.errors import Entries, ErrorKind, join, repaired_ap

CLASSES = 3
MEANING = [ErrorKind.CORRECT, ErrorKind.CLASS, ErrorKind.EXTENT, ErrorKind.PLACE]
KINDS = [*MEANING, ErrorKind.BOTH, ErrorKind.DOUBLE, ErrorKind.BACKGROUND]


def _entries(seed: int, count: int, annotated: int) -> Entries:
    """Entries as a matching leaves them: at most one is correct for each annotation."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, CLASSES, annotated)
    kinds = random.choice([int(kind) for kind in KINDS], count)
    targets = np.full(count, -1)
    labels = random.integers(0, CLASSES, count)
    taken: set[int] = set()
    for row, kind in enumerate(kinds):
        if kind not in MEANING:
            continue
        target = int(random.integers(annotated)) if annotated else -1
        wrong = kind == ErrorKind.CORRECT and target in taken
        if target < 0 or wrong or (kind == ErrorKind.CLASS and truth[target] == labels[row]):
            kinds[row] = ErrorKind.BACKGROUND
            continue
        targets[row] = target
        if kind == ErrorKind.CORRECT:
            taken.add(target)
        if kind != ErrorKind.CLASS:
            labels[row] = truth[target]
    scores = random.integers(0, 6, count) / 5
    return Entries(labels, scores, kinds, targets, truth)


entries = st.builds(_entries, st.integers(0, 10**6), st.integers(0, 30), st.integers(0, 12))


@given(entries)
def test_repairing_everything_gives_one(found: Entries) -> None:
    ap = repaired_ap(found, CLASSES, [*KINDS[1:], ErrorKind.MISSED])
    annotated = np.isin(np.arange(CLASSES), found.truth)
    np.testing.assert_array_equal(ap[annotated], 1.0)
    assert np.isnan(ap[~annotated]).all()


@given(entries, st.sets(st.sampled_from([*KINDS[1:], ErrorKind.MISSED])))
def test_repairing_never_lowers_the_ap(found: Entries, kinds: set[ErrorKind]) -> None:
    before, after = repaired_ap(found, CLASSES), repaired_ap(found, CLASSES, kinds)
    known = ~np.isnan(before)
    assert (after[known] >= before[known] - 1e-12).all()
    assert (after[known] <= 1.0 + 1e-12).all()


@given(entries)
def test_kinds_partition_what_is_found(found: Entries) -> None:
    counts = found.counts()
    assert sum(count for kind, count in counts.items() if kind != ErrorKind.MISSED) == len(
        found.labels
    )
    assert counts[ErrorKind.MISSED] == int(found.missed().sum())
    assert counts[ErrorKind.CORRECT] == int(found.found(ErrorKind.CORRECT).sum())


@given(entries, entries)
def test_two_videos_have_the_errors_of_each(one: Entries, two: Entries) -> None:
    both = join([one, two])
    expected = {kind: one.counts()[kind] + two.counts()[kind] for kind in ErrorKind}
    assert both.counts() == expected
    np.testing.assert_array_equal(both.missed(), np.concatenate([one.missed(), two.missed()]))


@given(entries, st.floats(0, 1))
def test_a_threshold_keeps_what_is_above_it(found: Entries, least: float) -> None:
    shown = found.above(np.full(CLASSES, least))
    assert len(shown.labels) == (found.scores >= least).sum()
    assert (shown.scores >= least).all()


def _three(kind: ErrorKind, target: int) -> Entries:
    """Two annotations of class 0; the second is found, and something else is wrong."""
    return Entries(
        np.array([0, 1 if kind == ErrorKind.CLASS else 0]),
        np.array([0.5, 0.9]),
        np.array([ErrorKind.CORRECT, kind]),
        np.array([1, target]),
        np.array([0, 0]),
    )


@pytest.mark.parametrize(
    ("kind", "target", "repaired"),
    [
        # Before it is 0.25: one of two is found, after one that is wrong.
        (ErrorKind.PLACE, 0, 1.0),
        (ErrorKind.PLACE, 1, 0.5),  # another entry has that annotation: the wrong one is removed
        (ErrorKind.EXTENT, 0, 1.0),
        (ErrorKind.DOUBLE, -1, 0.5),
        (ErrorKind.BOTH, -1, 0.5),
        (ErrorKind.BACKGROUND, -1, 0.5),
    ],
)
def test_what_a_repair_does(kind: ErrorKind, target: int, repaired: float) -> None:
    found = _three(kind, target)
    assert repaired_ap(found, 2)[0] == pytest.approx(0.25)
    assert repaired_ap(found, 2, [kind])[0] == pytest.approx(repaired)
    others = [other for other in KINDS if other not in (kind, ErrorKind.CORRECT)]
    for other in others:
        assert repaired_ap(found, 2, [other])[0] == pytest.approx(0.25)


def test_a_wrong_class_becomes_right() -> None:
    found = _three(ErrorKind.CLASS, 0)
    assert repaired_ap(found, 2)[0] == pytest.approx(0.5)
    assert repaired_ap(found, 2, [ErrorKind.CLASS])[0] == pytest.approx(1.0)


def test_missed_annotations_are_left_out() -> None:
    found = _three(ErrorKind.BACKGROUND, -1)
    assert found.counts()[ErrorKind.MISSED] == 1
    assert repaired_ap(found, 2, [ErrorKind.MISSED])[0] == pytest.approx(0.5)
    both = repaired_ap(found, 2, [ErrorKind.MISSED, ErrorKind.BACKGROUND])
    assert both[0] == pytest.approx(1.0)


def test_every_kind_has_words_of_its_own() -> None:
    words = [str(kind) for kind in ErrorKind]
    assert all(one != two for one, two in itertools.combinations(words, 2))
