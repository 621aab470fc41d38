"""Tests what counts as a change between pictures, and what is removed from it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.runtime.motion import ChangeMap, lasting, limits, shrunk


def scene(seed=0, size=(120, 160)):
    rough = np.random.default_rng(seed).uniform(40, 200, (size[0] // 10, size[1] // 10, 3))
    return cv2.resize(rough, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255)


def change_of(after, before):
    """The map of ``after``, when ``before`` has stood there for a while."""
    changes = ChangeMap()
    for _ in range(10):
        changes.add(shrunk(before.astype(np.uint8)), 0.04)
    return changes.add(shrunk(after.clip(0, 255).astype(np.uint8)), 0.04)


@pytest.mark.parametrize(
    ("size", "cells"),
    [((480, 640), (60, 80)), ((1080, 1920), (45, 80)), ((640, 360), (80, 45)), ((9, 7), (9, 7))],
)
def test_cells_are_means_of_the_picture(size, cells):
    image = np.full((*size, 3), (10, 20, 30), np.uint8)
    found = shrunk(image)
    assert found.shape == (*cells, 3)
    assert np.allclose(found, (10, 20, 30))
    assert shrunk(np.zeros((1, 4000, 3), np.uint8)).shape == (1, 80, 3)


@given(st.integers(1, 1500), st.integers(1, 1500))
@settings(max_examples=60, deadline=None)
def test_a_picture_of_any_size_has_eighty_cells_or_those_that_it_has(height, width):
    found = shrunk(np.full((height, width, 3), (10, 20, 30), np.uint8))
    longer = max(height, width)
    assert max(found.shape[:2]) == min(80, longer)
    expected = np.array([height, width]) * min(1, 80 / longer)
    np.testing.assert_allclose(found.shape[:2], expected, atol=2)
    assert np.allclose(found, (10, 20, 30))


def test_a_picture_that_stays_has_no_change():
    cells = shrunk(scene().astype(np.uint8))
    assert np.array_equal(ChangeMap().add(cells, 0.0), np.zeros(cells.shape[:2]))
    assert change_of(scene(), scene()).max() < 0.05


def test_light_and_a_small_shift_are_no_change():
    whole = scene()
    plain = np.abs(shrunk(whole.astype(np.uint8)) - shrunk((whole * 1.15).astype(np.uint8)))
    assert change_of(whole * 1.15, whole).max() < 0.1 * plain.max()
    assert change_of(whole + 12, whole).max() < 1
    shifted = cv2.warpAffine(
        whole, np.array([[1, 0, 0.8], [0, 1, -0.5]]), (160, 120), borderMode=cv2.BORDER_REPLICATE
    )
    plain = np.abs(shrunk(whole.astype(np.uint8)) - shrunk(shifted.astype(np.uint8)))
    assert change_of(shifted, whole)[3:-3, 3:-3].max() < 0.3 * plain.mean(axis=2).max()


def test_what_is_in_one_place_is_seen_there():
    after = scene()
    after[40:70, 60:80] = 255 - after[40:70, 60:80]
    found = change_of(after, scene())
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 20 <= row < 35
    assert 30 <= column < 40
    assert found.max() > 10 * np.median(found)


def test_a_flat_picture_has_a_map_too():
    flat = np.full((48, 64, 3), 128.0)
    assert np.isfinite(change_of(flat, flat)).all()
    after = flat.copy()
    after[10:20, 10:20] = 200
    assert change_of(after, flat).max() > 20


def test_what_lasts_may_have_moved_by_a_cell():
    before, now = np.zeros((2, 9, 9), np.float32)
    before[3, 3], now[4, 4], now[8, 8] = 5, 7, 9
    found = lasting(now, before)
    assert found[4, 4] == 5
    assert found.sum() == 5


def test_limits_hold_around_where_noise_was_and_are_none_for_motion():
    largest = np.zeros((60, 80), np.float32)
    largest[30, 40] = 4
    found = limits(largest)
    assert found is not None
    assert (found > 4).sum() == 15 * 15
    assert 0 < found[0, 0] < found[30, 40]
    largest[30, 40] = 23.9
    assert limits(largest) is not None
    largest[30, 40] = 24.1  # no noise changes a cell by more than 24 levels
    assert limits(largest) is None


def test_where_something_acted_limits_are_high_among_those_of_the_other_cells():
    largest = np.zeros((60, 80), np.float32)
    free = np.ones(largest.shape, np.bool_)
    free[20:30, 20:30] = False
    largest[~free] = 20
    found = limits(largest, free)
    assert found is not None
    # What acted says nothing about noise.
    assert found.min() == found.max() == limits(np.zeros_like(largest)).max()
    noise = np.outer(np.linspace(0, 2, 60), np.linspace(0, 2, 80))
    largest[free] = noise[free]
    found = limits(largest, free)
    noise = limits(np.where(free, largest, 0))
    assert (found[free] == noise[free]).all()
    assert found[~free] == pytest.approx(np.percentile(noise[free], 95))


def test_a_shift_that_cannot_be_told_takes_nothing_away():
    """A nearly flat picture; its waves and their slope are as weak as the least squares allow."""
    wave = 0.59 * np.sin(0.242 * np.arange(80, dtype=np.float32))
    flat = np.full((45, 80, 3), 128, np.float32) + wave[:, None]
    noise = np.random.default_rng(6).uniform(-3, 3, (45, 80, 1)).astype(np.float32)
    changes = ChangeMap()
    changes.add(flat, 0.04)
    found = changes.add(flat + noise, 0.04)
    assert found.mean() == pytest.approx(np.abs(noise).mean(), rel=0.1)


@given(st.integers(0, 2**32 - 1), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
@settings(max_examples=30, deadline=None)
def test_a_picture_on_its_side_changes_as_the_upright_one_does(seed, right, down):
    """In shift, light and noise, and up to its edges."""
    cells = shrunk(scene(seed).astype(np.uint8))
    wide = np.pad(cells, ((1, 1), (1, 1), (0, 0)), mode="edge")
    later = cells + right * (wide[1:-1, :-2] - cells) + down * (wide[:-2, 1:-1] - cells)
    later += np.random.default_rng(seed).uniform(-0.1, 0.3, cells.shape).astype(np.float32)
    found = []
    for before, after in ((cells, later), (cells.swapaxes(0, 1), later.swapaxes(0, 1))):
        changes = ChangeMap()
        changes.add(before, 0.04)
        found.append(changes.add(after, 0.04))
    np.testing.assert_allclose(found[0], found[1].T, atol=1e-4)


PATCH = np.zeros((45, 80, 1), np.float32)
PATCH[20:24, 30:34] = 10


def test_a_picture_is_compared_with_the_mean_of_all_in_the_beginning():
    before = shrunk(scene(size=(90, 160)).astype(np.uint8))
    changes = ChangeMap()
    changes.add(before, 0.001)
    found = [changes.add(before + PATCH, 0.001)[22, 32] for _ in range(4)]
    assert found == pytest.approx([10, 10 / 2, 10 / 3, 10 / 4], rel=0.1)


@pytest.mark.parametrize("fps", [10, 25, 50])
def test_what_stays_fades_within_seconds_whatever_the_rate(fps):
    before = shrunk(scene(size=(90, 160)).astype(np.uint8))
    changes = ChangeMap()
    for _ in range(200):
        changes.add(before, 1 / fps)
    found = [changes.add(before + PATCH, 1 / fps)[22, 32] for _ in range(fps)]
    assert found[0] == pytest.approx(10, rel=0.1)
    assert 0.3 < found[fps // 2] / found[0] < 0.45


def test_light_is_no_change_of_a_scene_that_came_later_either():
    later = scene(1)
    changes = ChangeMap()
    for picture in [scene(0)] + [later] * 200:
        changes.add(shrunk(picture.astype(np.uint8)), 0.04)
    bright = shrunk((later * 1.15).clip(0, 255).astype(np.uint8))
    plain = np.abs(bright - shrunk(later.astype(np.uint8)))
    assert changes.add(bright, 0.04).max() < 0.2 * plain.max()


def test_what_moves_changes_nothing_elsewhere():
    after = scene()
    after[10:60, 10:80] += 120
    found = change_of(after, scene())
    assert found[8:28, 8:38].mean() > 50
    assert found[34:, 45:].max() < 1


def test_another_colour_of_the_same_brightness_is_a_change():
    before = scene()
    after = before.copy()
    before[40:70, 60:80], after[40:70, 60:80] = (120, 100, 80), (80, 100, 120)
    assert change_of(after, before)[25, 35] > 20
