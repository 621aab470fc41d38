from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.analysis.errors import ErrorKind, repaired_ap
from edgekit.metrics.analysis.tube_errors import tube_entries
from edgekit.metrics.video_map import THRESHOLDS, match_tubes, video_average_precision
from edgekit.runtime.types import Tube

CLASSES = 3
A, B = (0.0, 0.0, 40.0, 40.0), (100.0, 0.0, 140.0, 40.0)


def _tube(label: int, start: int, end: int, box: tuple[float, ...] = A, score: float = 0.5) -> Tube:
    length = end - start + 1
    return Tube(
        *(0, label, score, start, end, np.tile(np.array(box), (length, 1))),
        np.full(length, score),
        np.ones(length, np.bool_),
    )


def _truth(label: int, start: int, end: int, box: tuple[float, ...] = A) -> TruthTube:
    return TruthTube(label, start, np.tile(np.array(box), (end - start + 1, 1)))


TRUTH = [_truth(0, 20, 39), _truth(1, 20, 39, B)]


@pytest.mark.parametrize(
    ("tube", "kind", "shift"),
    [
        (_tube(0, 20, 39), ErrorKind.CORRECT, (0, 0)),
        (_tube(0, 22, 36), ErrorKind.CORRECT, (2, -3)),
        (_tube(2, 20, 39), ErrorKind.CLASS, (0, 0)),
        (_tube(0, 20, 39, B), ErrorKind.CLASS, (0, 0)),
        (_tube(0, 0, 49), ErrorKind.EXTENT, (-20, 10)),
        (_tube(0, 34, 60), ErrorKind.EXTENT, (14, 21)),
        (_tube(0, 20, 39, (0.0, 25.0, 40.0, 65.0)), ErrorKind.PLACE, (0, 0)),
        (_tube(0, 20, 39, (200.0, 0.0, 240.0, 40.0)), ErrorKind.BACKGROUND, None),
        (_tube(0, 50, 60), ErrorKind.BACKGROUND, None),
    ],
)
def test_what_is_wrong_with_a_tube(
    tube: Tube, kind: ErrorKind, shift: tuple[int, int] | None
) -> None:
    entries, shifts = tube_entries([tube], TRUTH, growth=0.0)
    assert entries.kinds.tolist() == [kind]
    if shift is None:
        assert np.isnan(shifts).all()
    else:
        assert shifts.tolist() == [list(shift)]


def test_the_second_tube_of_an_actor_is_double() -> None:
    entries, _ = tube_entries(
        [_tube(0, 20, 39, score=0.3), _tube(0, 20, 38, score=0.8)], TRUTH, growth=0.0
    )
    assert entries.scores.tolist() == [0.8, 0.3]
    assert entries.kinds.tolist() == [ErrorKind.CORRECT, ErrorKind.DOUBLE]
    assert entries.counts()[ErrorKind.MISSED] == 1


@pytest.mark.parametrize(("tubes", "truth"), [([], TRUTH), ([_tube(0, 0, 5)], []), ([], [])])
def test_nothing_found_or_nothing_annotated(tubes: list[Tube], truth: list[TruthTube]) -> None:
    entries, shifts = tube_entries(tubes, truth, growth=0.0)
    assert entries.counts()[ErrorKind.BACKGROUND] == len(tubes) == len(shifts)
    assert entries.counts()[ErrorKind.MISSED] == len(truth)


def _random(seed: int) -> tuple[list[Tube], list[TruthTube]]:
    random = np.random.default_rng(seed)

    def spans(count: int) -> list[tuple[int, int, int, tuple[float, ...]]]:
        return [
            (
                int(random.integers(CLASSES)),
                start := int(random.integers(0, 20)),
                start + int(random.integers(1, 20)),
                (x := 10.0 * int(random.integers(0, 4)), 0.0, x + 40, 40.0),
            )
            for _ in range(count)
        ]

    tubes = [_tube(*span, score=int(random.integers(1, 5)) / 4) for span in spans(6)]
    return tubes, [_truth(*span) for span in spans(3)]


@given(st.integers(0, 10**6))
def test_the_entries_give_the_video_ap(seed: int) -> None:
    tubes, truth = _random(seed)
    entries, shifts = tube_entries(tubes, truth, growth=0.0)
    matches = match_tubes(tubes, truth, CLASSES, growth=0.0)
    expected = video_average_precision([matches], CLASSES)[THRESHOLDS.index(0.5)]
    np.testing.assert_array_equal(repaired_ap(entries, CLASSES), expected)
    every = repaired_ap(entries, CLASSES, list(ErrorKind)[1:])
    np.testing.assert_array_equal(every[~np.isnan(every)], 1.0)
    np.testing.assert_array_equal(np.isnan(shifts).any(axis=1), entries.targets < 0)
    same = entries.truth[entries.targets] == entries.labels
    means = entries.targets >= 0
    np.testing.assert_array_equal(same[means], entries.kinds[means] != ErrorKind.CLASS)
