from __future__ import annotations

import numpy as np
import pytest

from edgekit.datasets.annotations import TruthTube
from edgekit.metrics.analysis.groups import GROUPS, group_counts, properties

SIZE = (320, 240)


def _moving(step: float, frames: int = 30, side: float = 40.0) -> TruthTube:
    left = step * np.arange(frames)
    top = np.zeros(frames)
    return TruthTube(0, 0, np.stack([left, top, left + side, top + side], axis=1))


def test_a_still_actor_is_slow_and_a_running_one_is_fast() -> None:
    still, running = _moving(0.0), _moving(10.0)
    motion = properties([still, running], SIZE)[:, 1]
    np.testing.assert_allclose(motion[:30], 1.0)
    assert (motion[30:] < 0.7).all()
    # Ten pixels of forty a frame: IoU 30/50, 20/60, 10/70 and then 0, on both sides.
    assert motion[45] == pytest.approx((30 / 50 + 20 / 60 + 10 / 70) / 10)


def test_a_single_box_has_no_motion() -> None:
    values = properties([_moving(1.0, frames=1)], SIZE)
    assert np.isnan(values[0, 1])
    groups = group_counts(values, np.array([True]))
    assert sum(group.boxes for group in groups if group.property == "motion") == 0
    assert {group.found for group in groups if group.property == "motion"} == {None}


def test_size_is_a_share_of_the_picture() -> None:
    values = properties([_moving(0.0, side=120.0)], SIZE)
    np.testing.assert_allclose(values[:, 0], 120 * 120 / (320 * 240))


def test_cover_is_the_share_of_a_box_behind_another() -> None:
    whole = TruthTube(0, 0, np.tile([0.0, 0, 40, 40], (4, 1)))
    half = TruthTube(1, 2, np.tile([20.0, 0, 100, 40], (4, 1)))
    covered = properties([whole, half], SIZE)[:, 2]
    np.testing.assert_allclose(covered, [0, 0, 0.5, 0.5, 0.25, 0.25, 0, 0])


def test_cover_by_an_actor_who_comes_in_the_last_frame() -> None:
    first = TruthTube(0, 0, np.tile([0.0, 0, 40, 40], (4, 1)))
    second = TruthTube(1, 3, np.tile([20.0, 0, 100, 40], (6, 1)))
    covered = properties([first, second], SIZE)[:, 2]
    np.testing.assert_allclose(covered, [0, 0, 0, 0.5, 0.25, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("share", "name"),
    [
        (0.99 / 64, "under 1/64 of the picture"),
        (1 / 64, "1/64 to 1/16"),
        (0.99 / 16, "1/64 to 1/16"),
        (1 / 16, "1/16 to 1/4"),
        (0.99 / 4, "1/16 to 1/4"),
        (1 / 4, "over 1/4"),
    ],
)
def test_a_size_is_in_the_group_of_that_name(share: float, name: str) -> None:
    groups = group_counts(np.array([[share, 1.0, 0.0]]), np.array([True]))
    assert [g.name for g in groups if g.property == "size" and g.boxes] == [name]


@pytest.mark.parametrize(
    ("share", "name"),
    [(0.0, "not at all"), (1e-9, "up to half"), (0.5, "up to half"), (0.51, "more than half")],
)
def test_a_cover_is_in_the_group_of_that_name(share: float, name: str) -> None:
    groups = group_counts(np.array([[0.1, 1.0, share]]), np.array([True]))
    assert [g.name for g in groups if g.property.startswith("covered") and g.boxes] == [name]


def test_each_box_is_in_one_group_of_each_property() -> None:
    tubes = [_moving(step, side=side) for step in (0, 2, 9) for side in (10, 30, 60, 200)]
    values = properties(tubes, SIZE)
    found = np.arange(len(values)) % 3 == 0
    groups = group_counts(values, found)
    for name, _ in GROUPS:
        own = [group for group in groups if group.property == name]
        assert sum(group.boxes for group in own) == len(values)
        hits = sum(group.boxes * group.found for group in own if group.found is not None)
        assert hits == pytest.approx(found.sum())


def test_no_annotated_tube() -> None:
    values = properties([], SIZE)
    assert values.shape == (0, len(GROUPS))
    assert all(group.boxes == 0 for group in group_counts(values, np.zeros(0, np.bool_)))
