from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.runtime.decode import peaks
from edgekit.training.data.targets import MAX_ACTORS, STRIDE, targets


@settings(max_examples=50, deadline=None)
@given(x=st.floats(0, 120), y=st.floats(0, 120), w=st.floats(8, 100), h=st.floats(8, 100))
def test_targets_decode_to_their_boxes(x, y, w, h):
    box = np.array([x, y, min(x + w, 128), min(y + h, 128)])
    if min(box[2:] - box[:2]) < STRIDE:
        return
    sample = targets(np.zeros((6, 128, 128), np.float32), box[None], [2], 4)
    grid = 128 // STRIDE
    maps = {"hm": np.log(sample.heatmap + 1e-6)[None]}
    for name, values in (("wh", sample.sizes), ("reg", sample.offsets)):
        flat = np.zeros((2, grid * grid), np.float32)
        flat[:, sample.cells[0]] = values[0]
        maps[name] = flat.reshape(1, 2, grid, grid)
    best = peaks(maps, 1, STRIDE)[0]
    np.testing.assert_allclose(best[:4], box, atol=1e-3)
    assert best[5] == 2


def test_two_actors_keep_the_larger_value():
    boxes = np.array([[8, 8, 72, 72], [24, 24, 88, 88]], float)
    both = targets(np.zeros((3, 96, 96), np.float32), boxes, [0, 0], 1).heatmap
    each = [targets(np.zeros((3, 96, 96), np.float32), b[None], [0], 1).heatmap for b in boxes]
    np.testing.assert_array_equal(both, np.maximum(*each))


@pytest.mark.parametrize("box", [[200, 0, 240, 40], [10, 10, 12, 40]])
def test_actors_outside_or_too_small_are_left_out(box):
    sample = targets(np.zeros((3, 96, 96), np.float32), np.array([box], float), [0], 1)
    assert sample.mask.sum() == 0
    assert sample.heatmap.max() == 0


def test_every_actor_of_a_crowd_is_in_the_heatmap():
    corners = np.array([(x, y) for x in range(2, 128, 16) for y in range(2, 128, 16)], float)
    boxes = np.concatenate([corners, corners + 12], 1)
    sample = targets(np.zeros((3, 128, 128), np.float32), boxes, [0] * len(boxes), 1)
    assert len(boxes) > MAX_ACTORS
    assert (sample.heatmap == 1).sum() == len(boxes)
    assert sample.mask.sum() == MAX_ACTORS
